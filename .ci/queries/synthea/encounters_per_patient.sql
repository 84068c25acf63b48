-- How many encounters has each patient, from when to when?
SELECT p.person_source_value AS patient, count(*) AS encounters, min(v.visit_start_date) AS first_day,
       max(v.visit_end_date) AS last_day
FROM visit_occurrence v
JOIN person p ON p.person_id = v.person_id
GROUP BY p.person_source_value
ORDER BY patient
-- @source
SELECT patient, count(*) AS encounters, min(CAST(left(start, 10) AS DATE)) AS first_day,
       max(CAST(left(stop, 10) AS DATE)) AS last_day
FROM encounters
GROUP BY patient
ORDER BY patient
