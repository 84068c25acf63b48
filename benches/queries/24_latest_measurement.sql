-- The latest measurement of each kind of each person: how many, and their total by kind.
SELECT measurement_concept_id, count(*) AS persons, sum(value_as_number) AS total
FROM (
  SELECT person_id, measurement_concept_id, value_as_number,
         row_number() OVER (PARTITION BY person_id, measurement_concept_id ORDER BY measurement_date DESC, measurement_id DESC) AS n
  FROM measurement
) AS ranked
WHERE n = 1
GROUP BY measurement_concept_id
ORDER BY measurement_concept_id
