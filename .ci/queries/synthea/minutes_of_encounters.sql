-- When did the encounters of 2020 and later begin, to the second?
SELECT p.person_source_value AS patient, v.visit_start_datetime AS began, count(*) AS encounters
FROM visit_occurrence v
JOIN person p ON p.person_id = v.person_id
WHERE v.visit_start_date >= DATE '2020-01-01'
GROUP BY p.person_source_value, v.visit_start_datetime
ORDER BY patient, began
-- @source
SELECT patient, CAST(replace(rtrim(start, 'Z'), 'T', ' ') AS TIMESTAMP) AS began, count(*) AS encounters
FROM encounters
WHERE start >= '2020'
GROUP BY patient, began
ORDER BY patient, began
