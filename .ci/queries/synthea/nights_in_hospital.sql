-- How many nights do encounters last that do not end on the day they began?
SELECT p.person_source_value AS patient, v.visit_start_date, v.visit_end_date,
       v.visit_end_date - v.visit_start_date AS nights
FROM visit_occurrence v
JOIN person p ON p.person_id = v.person_id
WHERE v.visit_end_date > v.visit_start_date
ORDER BY patient, v.visit_start_date, v.visit_end_date
-- @source
SELECT patient, CAST(left(start, 10) AS DATE) AS visit_start_date, CAST(left(stop, 10) AS DATE) AS visit_end_date,
       CAST(left(stop, 10) AS DATE) - CAST(left(start, 10) AS DATE) AS nights
FROM encounters
WHERE left(stop, 10) > left(start, 10)
ORDER BY patient, visit_start_date, visit_end_date
