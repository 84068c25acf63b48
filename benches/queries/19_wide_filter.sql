-- Suspicious blood pressures of three years, with everything recorded about them.
SELECT measurement_id, person_id, measurement_concept_id, measurement_date, measurement_datetime, measurement_type_concept_id,
       operator_concept_id, value_as_number, value_as_concept_id, unit_concept_id, range_low, range_high, provider_id,
       visit_occurrence_id, measurement_source_value, unit_source_value
FROM measurement
WHERE measurement_concept_id = 3004249 AND value_as_number > 185 AND measurement_date BETWEEN DATE '2017-01-01' AND DATE '2019-12-31'
ORDER BY measurement_id
