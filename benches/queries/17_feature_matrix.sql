-- What was known of each new user of a statin in the year before: one row of features per person, in summary.
WITH index_event AS (
  SELECT person_id, min(drug_exposure_start_date) AS index_date
  FROM drug_exposure
  WHERE drug_concept_id = 1545958
  GROUP BY person_id
), conditions AS (
  SELECT i.person_id,
         max(CASE WHEN o.condition_concept_id = 320128 THEN 1 ELSE 0 END) AS hypertension,
         max(CASE WHEN o.condition_concept_id = 201826 THEN 1 ELSE 0 END) AS diabetes,
         max(CASE WHEN o.condition_concept_id = 432867 THEN 1 ELSE 0 END) AS lipids,
         count(*) AS records
  FROM index_event i
  JOIN condition_occurrence o ON o.person_id = i.person_id
   AND o.condition_start_date <= i.index_date AND o.condition_start_date >= i.index_date - 365
  GROUP BY i.person_id
), measurements AS (
  SELECT i.person_id,
         avg(CASE WHEN m.measurement_concept_id = 3004249 THEN m.value_as_number END) AS systolic,
         max(CASE WHEN m.measurement_concept_id = 3009966 THEN m.value_as_number END) AS ldl,
         count(*) AS records
  FROM index_event i
  JOIN measurement m ON m.person_id = i.person_id
   AND m.measurement_date <= i.index_date AND m.measurement_date >= i.index_date - 365
  GROUP BY i.person_id
)
SELECT p.gender_concept_id, count(*) AS persons, sum(c.hypertension) AS hypertension, sum(c.diabetes) AS diabetes,
       sum(c.lipids) AS lipids, sum(c.records) AS conditions, sum(m.records) AS measurements, round(avg(m.systolic), 6) AS systolic,
       round(avg(m.ldl), 6) AS ldl
FROM index_event i
JOIN person p ON p.person_id = i.person_id
LEFT JOIN conditions c ON c.person_id = i.person_id
LEFT JOIN measurements m ON m.person_id = i.person_id
GROUP BY p.gender_concept_id
ORDER BY p.gender_concept_id
