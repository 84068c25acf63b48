-- Which procedures were done, how often, and on how many days?
SELECT procedure_source_value AS code, count(*) AS records, count(DISTINCT person_id) AS patients,
       count(DISTINCT procedure_date) AS days
FROM procedure_occurrence
WHERE procedure_source_value IN ('430193006', '428211000124100', '710824005', '715252007', '866148006', '34043003')
GROUP BY procedure_source_value
ORDER BY code
-- @source
SELECT code, count(*) AS records, count(DISTINCT patient) AS patients, count(DISTINCT left(start, 10)) AS days
FROM procedures
WHERE code IN ('430193006', '428211000124100', '710824005', '715252007', '866148006', '34043003')
GROUP BY code
ORDER BY code
