-- What was each person's first recorded condition, and at what age in years by calendar year?
SELECT person_id, condition_concept_id, condition_start_date, age
FROM (
    SELECT co.person_id, co.condition_concept_id, co.condition_start_date,
           extract(year FROM co.condition_start_date) - p.year_of_birth AS age,
           row_number() OVER (
               PARTITION BY co.person_id
               ORDER BY co.condition_start_date, co.condition_concept_id, co.condition_occurrence_id
           ) AS place
    FROM condition_occurrence co
    JOIN person p ON p.person_id = co.person_id
) AS ranked
WHERE place = 1
ORDER BY person_id
