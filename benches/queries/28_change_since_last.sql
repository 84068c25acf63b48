-- How do measurements change from one to the next of a person?
WITH steps AS (
  SELECT measurement_concept_id,
         value_as_number - lag(value_as_number) OVER (PARTITION BY person_id, measurement_concept_id ORDER BY measurement_date, measurement_id) AS change,
         measurement_date - lag(measurement_date) OVER (PARTITION BY person_id, measurement_concept_id ORDER BY measurement_date, measurement_id) AS days
  FROM measurement
)
SELECT measurement_concept_id, count(change) AS steps, round(sum(change), 3) AS total_change, sum(days) AS days
FROM steps
GROUP BY measurement_concept_id
ORDER BY measurement_concept_id
