-- How did each patient's height change from one measurement to the next?
SELECT p.person_source_value AS patient, m.measurement_date AS day, m.value_as_number AS height,
       m.value_as_number - lag(m.value_as_number) OVER (
           PARTITION BY m.person_id ORDER BY m.measurement_date, m.value_as_number
       ) AS change
FROM measurement m
JOIN person p ON p.person_id = m.person_id
WHERE m.measurement_source_value = '8302-2'
ORDER BY patient, day, height
-- @source
SELECT patient, day, height, height - lag(height) OVER (PARTITION BY patient ORDER BY day, height) AS change
FROM (
    SELECT patient, CAST(left(date, 10) AS DATE) AS day, CAST(value AS DOUBLE) AS height
    FROM observations
    WHERE code = '8302-2'
)
ORDER BY patient, day, height
