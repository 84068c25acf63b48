-- Which patients have encounters but no condition?
SELECT p.person_source_value AS patient, count(*) AS encounters
FROM person p
JOIN visit_occurrence v ON v.person_id = p.person_id
WHERE NOT EXISTS (SELECT 1 FROM condition_occurrence c WHERE c.person_id = p.person_id)
GROUP BY p.person_source_value
ORDER BY patient
-- @source
SELECT e.patient, count(*) AS encounters
FROM encounters e
WHERE e.patient NOT IN (SELECT patient FROM conditions)
GROUP BY e.patient
ORDER BY patient
