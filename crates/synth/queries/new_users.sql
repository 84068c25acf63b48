-- One row per new user: follow-up, event (1 outcome, 2 death, 0 censored), drug and the four confounders.
WITH first_period AS (
  SELECT person_id, min(observation_period_start_date) AS period_start, min(observation_period_end_date) AS period_end
  FROM observation_period GROUP BY person_id
), first_use AS (
  SELECT d.person_id, min(d.drug_exposure_start_date) AS index_date,
         max(CASE WHEN a.ancestor_concept_id = 1308216 THEN 1 ELSE 0 END) AS lisinopril
  FROM drug_exposure d JOIN concept_ancestor a ON a.descendant_concept_id = d.drug_concept_id
  WHERE a.ancestor_concept_id IN (1308216, 1332418) GROUP BY d.person_id
), first_outcome AS (
  SELECT person_id, min(condition_start_date) AS outcome_date
  FROM condition_occurrence WHERE condition_concept_id = {outcome} GROUP BY person_id
), first_diabetes AS (
  SELECT c.person_id, min(c.condition_start_date) AS diabetes_date
  FROM condition_occurrence c JOIN concept_ancestor a ON a.descendant_concept_id = c.condition_concept_id
  WHERE a.ancestor_concept_id = 201826 GROUP BY c.person_id
), follow_up AS (
  SELECT u.person_id, u.index_date, u.lisinopril, f.period_end,
         CASE WHEN o.outcome_date <= f.period_end THEN o.outcome_date END AS event_date
  FROM first_use u JOIN first_period f ON f.person_id = u.person_id
  LEFT JOIN first_outcome o ON o.person_id = u.person_id
  WHERE days_between(f.period_start, u.index_date) >= 365 AND u.index_date < f.period_end
    AND (o.outcome_date IS NULL OR o.outcome_date > u.index_date)
)
SELECT u.person_id, u.index_date, u.lisinopril,
       days_between(u.index_date, coalesce(u.event_date, u.period_end)) AS time,
       CASE WHEN u.event_date IS NOT NULL THEN 1 WHEN d.death_date = u.period_end THEN 2 ELSE 0 END AS event,
       CAST(extract(year FROM u.index_date) AS INT) - p.year_of_birth
         - CASE WHEN extract(month FROM u.index_date) * 100 + extract(day FROM u.index_date)
                     < p.month_of_birth * 100 + p.day_of_birth THEN 1 ELSE 0 END AS age,
       CASE WHEN p.gender_concept_id = 8507 THEN 1 ELSE 0 END AS male,
       m.value_as_number AS systolic,
       CASE WHEN x.diabetes_date <= u.index_date THEN 1 ELSE 0 END AS diabetes
FROM follow_up u
JOIN person p ON p.person_id = u.person_id
JOIN measurement m ON m.person_id = u.person_id AND m.measurement_concept_id = 3004249 AND m.measurement_date = u.index_date
LEFT JOIN first_diabetes x ON x.person_id = u.person_id
LEFT JOIN death d ON d.person_id = u.person_id
