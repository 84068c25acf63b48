-- How much person-time falls into each calendar year since 1990?
WITH years AS (
    SELECT DISTINCT CAST(extract(year FROM condition_start_date) AS INTEGER) AS year
    FROM condition_occurrence
    WHERE extract(year FROM condition_start_date) >= 1990
), bounds AS (
    SELECT year, CAST(CAST(year AS VARCHAR) || '-01-01' AS DATE) AS first_day,
           CAST(CAST(year AS VARCHAR) || '-12-31' AS DATE) AS last_day
    FROM years
)
SELECT b.year, count(DISTINCT op.person_id) AS persons,
       sum(least(op.observation_period_end_date, b.last_day)
           - greatest(op.observation_period_start_date, b.first_day) + 1) AS person_days
FROM bounds b
JOIN observation_period op
  ON op.observation_period_start_date <= b.last_day AND op.observation_period_end_date >= b.first_day
GROUP BY b.year
ORDER BY b.year
