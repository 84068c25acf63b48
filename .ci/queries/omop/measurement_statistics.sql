-- How are the values of each measurement distributed?
SELECT measurement_concept_id, unit_concept_id, count(value_as_number) AS results,
       min(value_as_number) AS lowest, max(value_as_number) AS highest, avg(value_as_number) AS mean,
       stddev_samp(value_as_number) AS standard_deviation
FROM measurement
WHERE value_as_number IS NOT NULL
GROUP BY measurement_concept_id, unit_concept_id
HAVING count(value_as_number) > 1
ORDER BY measurement_concept_id, unit_concept_id NULLS LAST
