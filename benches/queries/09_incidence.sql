-- First diagnoses of type 2 diabetes and years at risk, by sex and age at the beginning of observation.
WITH first_event AS (
  SELECT o.person_id, min(o.condition_start_date) AS event_date
  FROM condition_occurrence o
  JOIN concept_ancestor a ON a.descendant_concept_id = o.condition_concept_id
  WHERE a.ancestor_concept_id = 201826
  GROUP BY o.person_id
), observed AS (
  SELECT person_id, min(observation_period_start_date) AS start_date, max(observation_period_end_date) AS end_date
  FROM observation_period
  GROUP BY person_id
)
SELECT p.gender_concept_id,
       CAST(floor((extract(year FROM o.start_date) - p.year_of_birth) / 10.0) AS INTEGER) * 10 AS age_from,
       sum(CASE WHEN f.event_date <= o.end_date THEN 1 ELSE 0 END) AS cases,
       sum(least(coalesce(f.event_date, o.end_date), o.end_date) - o.start_date) AS person_days
FROM observed o
JOIN person p ON p.person_id = o.person_id
LEFT JOIN first_event f ON f.person_id = o.person_id
WHERE f.event_date IS NULL OR f.event_date > o.start_date
GROUP BY 1, 2
ORDER BY 1, 2
