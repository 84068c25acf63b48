-- From hypertension to treatment within 90 days, to a controlled pressure within the year after: persons at each step.
WITH diagnosed AS (
  SELECT person_id, min(condition_start_date) AS diagnosed
  FROM condition_occurrence WHERE condition_concept_id = 320128 GROUP BY person_id
), treated AS (
  SELECT d.person_id, min(e.drug_exposure_start_date) AS treated
  FROM diagnosed d
  JOIN drug_exposure e ON e.person_id = d.person_id AND e.drug_exposure_start_date BETWEEN d.diagnosed AND d.diagnosed + 90
  JOIN concept_ancestor a ON a.descendant_concept_id = e.drug_concept_id
  WHERE a.ancestor_concept_id IN (1308216, 1332418, 1367500)
  GROUP BY d.person_id
), controlled AS (
  SELECT DISTINCT t.person_id
  FROM treated t
  JOIN measurement m ON m.person_id = t.person_id AND m.measurement_date > t.treated AND m.measurement_date <= t.treated + 365
  WHERE m.measurement_concept_id = 3004249 AND m.value_as_number < 140
)
SELECT extract(year FROM d.diagnosed) AS calendar_year, count(*) AS diagnosed, count(t.person_id) AS treated, count(c.person_id) AS controlled
FROM diagnosed d
LEFT JOIN treated t ON t.person_id = d.person_id
LEFT JOIN controlled c ON c.person_id = d.person_id
GROUP BY 1
ORDER BY 1
