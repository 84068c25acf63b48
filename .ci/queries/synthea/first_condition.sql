-- What was each patient's first condition?
SELECT p.person_source_value AS patient, c.condition_source_value AS code, c.condition_start_date AS day
FROM condition_occurrence c
JOIN person p ON p.person_id = c.person_id
QUALIFY row_number() OVER (
    PARTITION BY c.person_id ORDER BY c.condition_start_date, c.condition_source_value
) = 1
ORDER BY patient
-- @source
SELECT patient, code, CAST(start AS DATE) AS day
FROM conditions
QUALIFY row_number() OVER (PARTITION BY patient ORDER BY start, code) = 1
ORDER BY patient
