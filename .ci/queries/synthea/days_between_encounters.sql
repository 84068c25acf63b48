-- How many days pass from one encounter of a patient to the next?
SELECT patient, count(gap) AS gaps, min(gap) AS shortest, max(gap) AS longest, avg(gap) AS mean
FROM (
    SELECT p.person_source_value AS patient,
           v.visit_start_date - lag(v.visit_start_date) OVER (
               PARTITION BY v.person_id ORDER BY v.visit_start_date
           ) AS gap
    FROM visit_occurrence v
    JOIN person p ON p.person_id = v.person_id
) AS gaps
GROUP BY patient
ORDER BY patient
-- @source
SELECT patient, count(gap) AS gaps, min(gap) AS shortest, max(gap) AS longest, avg(gap) AS mean
FROM (
    SELECT patient, day - lag(day) OVER (PARTITION BY patient ORDER BY day) AS gap
    FROM (SELECT patient, CAST(left(start, 10) AS DATE) AS day FROM encounters)
)
GROUP BY patient
ORDER BY patient
