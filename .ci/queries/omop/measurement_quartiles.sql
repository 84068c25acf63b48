-- What are the quartiles of each measurement, as the values at ranks ceil(n p)?
WITH ranked AS (
    SELECT measurement_concept_id, value_as_number,
           row_number() OVER (PARTITION BY measurement_concept_id ORDER BY value_as_number) AS place,
           count(*) OVER (PARTITION BY measurement_concept_id) AS n
    FROM measurement
    WHERE value_as_number IS NOT NULL
)
SELECT measurement_concept_id, max(n) AS n,
       max(CASE WHEN place = CAST(ceil(n * 0.25) AS BIGINT) THEN value_as_number END) AS lower_quartile,
       max(CASE WHEN place = CAST(ceil(n * 0.50) AS BIGINT) THEN value_as_number END) AS median,
       max(CASE WHEN place = CAST(ceil(n * 0.75) AS BIGINT) THEN value_as_number END) AS upper_quartile
FROM ranked
GROUP BY measurement_concept_id
ORDER BY measurement_concept_id
