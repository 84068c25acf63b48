-- How many days pass between one condition of a person and the next?
SELECT person_id, count(*) AS gaps, min(gap) AS shortest, max(gap) AS longest, avg(gap) AS mean
FROM (
    SELECT person_id,
           condition_start_date - lag(condition_start_date) OVER (
               PARTITION BY person_id ORDER BY condition_start_date, condition_occurrence_id
           ) AS gap
    FROM condition_occurrence
) AS gaps
WHERE gap IS NOT NULL
GROUP BY person_id
ORDER BY person_id
