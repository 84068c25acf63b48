-- What are the medians of laboratory values, as the value at rank ceil(n / 2)?
SELECT code, max(n) AS n, max(CASE WHEN place = CAST(ceil(n * 0.5) AS BIGINT) THEN value END) AS median
FROM (
    SELECT measurement_source_value AS code, value_as_number AS value,
           row_number() OVER (PARTITION BY measurement_source_value ORDER BY value_as_number) AS place,
           count(*) OVER (PARTITION BY measurement_source_value) AS n
    FROM measurement
    WHERE measurement_source_value IN ('718-7', '4544-3', '777-3', '2339-0', '38483-4', '2093-3', '4548-4')
) AS ranked
GROUP BY code
ORDER BY code
-- @source
SELECT code, max(n) AS n, max(CASE WHEN place = CAST(ceil(n * 0.5) AS BIGINT) THEN value END) AS median
FROM (
    SELECT code, CAST(value AS DOUBLE) AS value,
           row_number() OVER (PARTITION BY code ORDER BY CAST(value AS DOUBLE)) AS place,
           count(*) OVER (PARTITION BY code) AS n
    FROM observations
    WHERE code IN ('718-7', '4544-3', '777-3', '2339-0', '38483-4', '2093-3', '4548-4')
)
GROUP BY code
ORDER BY code
