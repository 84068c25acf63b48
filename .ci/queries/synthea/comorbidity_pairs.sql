-- Which pairs of conditions occur in the same patient most often?
WITH had AS (SELECT DISTINCT person_id, condition_source_value AS code FROM condition_occurrence)
SELECT a.code AS first_code, b.code AS second_code, count(*) AS patients
FROM had a
JOIN had b ON b.person_id = a.person_id AND b.code > a.code
GROUP BY a.code, b.code
ORDER BY patients DESC, first_code, second_code
LIMIT 100
-- @source
WITH had AS (SELECT DISTINCT patient, code FROM conditions)
SELECT a.code AS first_code, b.code AS second_code, count(*) AS patients
FROM had a
JOIN had b ON b.patient = a.patient AND b.code > a.code
GROUP BY a.code, b.code
ORDER BY patients DESC, first_code, second_code
LIMIT 100
