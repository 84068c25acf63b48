-- Is every patient there, with sex and day of birth?
SELECT person_source_value AS patient, CASE gender_concept_id WHEN 8507 THEN 'M' WHEN 8532 THEN 'F' END AS sex,
       year_of_birth, month_of_birth, day_of_birth
FROM person
ORDER BY patient
-- @source
SELECT id AS patient, gender AS sex, extract(year FROM CAST(birthdate AS DATE)) AS year_of_birth,
       extract(month FROM CAST(birthdate AS DATE)) AS month_of_birth,
       extract(day FROM CAST(birthdate AS DATE)) AS day_of_birth
FROM patients
ORDER BY patient
