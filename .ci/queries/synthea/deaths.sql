-- Who died, on which day and in which year of life?
SELECT p.person_source_value AS patient, d.death_date, extract(year FROM d.death_date) - p.year_of_birth AS years
FROM death d
JOIN person p ON p.person_id = d.person_id
ORDER BY patient
-- @source
SELECT id AS patient, CAST(left(deathdate, 10) AS DATE) AS death_date,
       extract(year FROM CAST(left(deathdate, 10) AS DATE)) - extract(year FROM CAST(birthdate AS DATE)) AS years
FROM patients
WHERE deathdate IS NOT NULL
ORDER BY patient
