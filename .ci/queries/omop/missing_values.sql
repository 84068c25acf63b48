-- How many values are missing in the columns of measurements?
SELECT count(*) AS records, count(value_as_number) AS numbers, count(value_as_concept_id) AS concepts,
       count(unit_concept_id) AS units, count(range_low) AS lower_limits, count(visit_occurrence_id) AS visits,
       count(DISTINCT unit_source_value) AS source_units, sum(measurement_id) AS checksum,
       count(*) FILTER (WHERE value_as_number IS NULL AND value_as_concept_id = 0) AS without_a_value
FROM measurement
