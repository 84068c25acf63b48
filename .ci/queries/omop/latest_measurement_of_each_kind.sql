-- Which was the latest measurement of each kind and person?
SELECT person_id, measurement_concept_id, measurement_date, measurement_id
FROM measurement
QUALIFY row_number() OVER (
    PARTITION BY person_id, measurement_concept_id ORDER BY measurement_date DESC, measurement_id DESC
) = 1
ORDER BY person_id, measurement_concept_id
LIMIT 2000
