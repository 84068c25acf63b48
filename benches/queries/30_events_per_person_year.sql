-- Records of every kind per person: the distribution over the UNION of all event tables.
WITH events AS (
  SELECT person_id, condition_start_date AS day FROM condition_occurrence
  UNION ALL SELECT person_id, drug_exposure_start_date FROM drug_exposure
  UNION ALL SELECT person_id, measurement_date FROM measurement
  UNION ALL SELECT person_id, visit_start_date FROM visit_occurrence
), per_person AS (
  SELECT person_id, count(*) AS records, min(day) AS first_day, max(day) AS last_day
  FROM events
  GROUP BY person_id
)
SELECT CASE WHEN records < 10 THEN 0 WHEN records < 100 THEN 10 WHEN records < 1000 THEN 100 ELSE 1000 END AS at_least,
       count(*) AS persons, sum(records) AS records, sum(last_day - first_day) AS days
FROM per_person
GROUP BY 1
ORDER BY 1
