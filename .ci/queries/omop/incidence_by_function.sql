-- How many conditions are there for a thousand person-years of observation, by sex?
WITH observed AS (
    SELECT p.person_id, p.gender_concept_id,
           sum(person_time(op.observation_period_start_date, op.observation_period_end_date)) AS person_days
    FROM person p
    JOIN observation_period op ON op.person_id = p.person_id
    GROUP BY p.person_id, p.gender_concept_id
), events AS (
    SELECT person_id, count(*) AS events FROM condition_occurrence GROUP BY person_id
)
SELECT o.gender_concept_id, sum(o.person_days) AS person_days, sum(e.events) AS events,
       CAST(sum(e.events) AS DOUBLE) / CAST(sum(o.person_days) AS DOUBLE) * 365250 AS rate
FROM observed o
LEFT JOIN events e ON e.person_id = o.person_id
GROUP BY o.gender_concept_id
ORDER BY o.gender_concept_id
