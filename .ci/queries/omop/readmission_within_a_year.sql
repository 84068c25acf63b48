-- Which visits of a person are followed by another within a year, and after how many days?
SELECT person_id, visit_occurrence_id, visit_start_date, next_start - visit_end_date AS days
FROM (
    SELECT person_id, visit_occurrence_id, visit_start_date, visit_end_date,
           lead(visit_start_date) OVER (
               PARTITION BY person_id ORDER BY visit_start_date, visit_occurrence_id
           ) AS next_start
    FROM visit_occurrence
) AS visits
WHERE next_start - visit_end_date <= 365
ORDER BY person_id, visit_start_date, visit_occurrence_id
