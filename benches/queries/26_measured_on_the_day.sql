-- Diagnoses with a blood pressure taken on the same day. A join by person and date.
SELECT o.condition_concept_id, count(*) AS records, avg(m.value_as_number) AS systolic
FROM condition_occurrence o
JOIN measurement m ON m.person_id = o.person_id AND m.measurement_date = o.condition_start_date
WHERE m.measurement_concept_id = 3004249
GROUP BY o.condition_concept_id
ORDER BY records DESC, o.condition_concept_id
LIMIT 50
