-- In which bands of ten years do conditions start?
SELECT age - age % 10 AS band, count(*) AS records, count(DISTINCT patient) AS patients
FROM (
    SELECT p.person_source_value AS patient,
           extract(year FROM c.condition_start_date) - p.year_of_birth
           - CASE WHEN extract(month FROM c.condition_start_date) * 100 + extract(day FROM c.condition_start_date)
                       < p.month_of_birth * 100 + p.day_of_birth THEN 1 ELSE 0 END AS age
    FROM condition_occurrence c
    JOIN person p ON p.person_id = c.person_id
) AS ages
GROUP BY age - age % 10
ORDER BY band
-- @source
SELECT age - age % 10 AS band, count(*) AS records, count(DISTINCT patient) AS patients
FROM (
    SELECT c.patient, age_at(CAST(p.birthdate AS DATE), CAST(c.start AS DATE)) AS age
    FROM conditions c
    JOIN patients p ON p.id = c.patient
)
GROUP BY age - age % 10
ORDER BY band
