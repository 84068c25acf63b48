-- Discharges followed for 30 days, and readmissions within them, after stays for heart failure and after others.
WITH stay AS (
  SELECT visit_occurrence_id, person_id, visit_start_date, visit_end_date
  FROM visit_occurrence WHERE visit_concept_id IN (9201, 262)
), failure AS (
  SELECT DISTINCT c.visit_occurrence_id
  FROM condition_occurrence c JOIN concept_ancestor a ON a.descendant_concept_id = c.condition_concept_id
  WHERE a.ancestor_concept_id = 316139
), discharge AS (
  SELECT s.visit_occurrence_id, s.person_id, s.visit_end_date
  FROM stay s JOIN observation_period o ON o.person_id = s.person_id
  WHERE o.observation_period_start_date <= s.visit_end_date
    AND days_between(s.visit_end_date, o.observation_period_end_date) >= 30
), readmitted AS (
  SELECT DISTINCT d.visit_occurrence_id
  FROM discharge d JOIN stay s ON s.person_id = d.person_id
  WHERE days_between(d.visit_end_date, s.visit_start_date) BETWEEN 1 AND 30
)
SELECT CASE WHEN f.visit_occurrence_id IS NULL THEN 'other' ELSE 'heart failure' END AS stay_group,
       count(*) AS discharges, count(r.visit_occurrence_id) AS readmissions
FROM discharge d
LEFT JOIN failure f ON f.visit_occurrence_id = d.visit_occurrence_id
LEFT JOIN readmitted r ON r.visit_occurrence_id = d.visit_occurrence_id
GROUP BY 1 ORDER BY 1
