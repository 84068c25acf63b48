-- How are height, weight, body mass index, blood pressure and heart rate distributed?
SELECT measurement_source_value AS code, unit_source_value AS unit, count(*) AS results,
       count(DISTINCT person_id) AS patients, min(value_as_number) AS lowest, max(value_as_number) AS highest,
       avg(value_as_number) AS mean, stddev_samp(value_as_number) AS standard_deviation
FROM measurement
WHERE measurement_source_value IN ('8302-2', '29463-7', '39156-5', '8480-6', '8462-4', '8867-4')
GROUP BY measurement_source_value, unit_source_value
ORDER BY code, unit
-- @source
SELECT code, units AS unit, count(*) AS results, count(DISTINCT patient) AS patients,
       min(CAST(value AS DOUBLE)) AS lowest, max(CAST(value AS DOUBLE)) AS highest,
       avg(CAST(value AS DOUBLE)) AS mean, stddev_samp(CAST(value AS DOUBLE)) AS standard_deviation
FROM observations
WHERE code IN ('8302-2', '29463-7', '39156-5', '8480-6', '8462-4', '8867-4')
GROUP BY code, units
ORDER BY code, unit
