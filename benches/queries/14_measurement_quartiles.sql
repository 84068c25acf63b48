-- Exact quartiles of every measurement, by sex.
SELECT m.measurement_concept_id, p.gender_concept_id, count(m.value_as_number) AS n,
       percentile_cont(0.25) WITHIN GROUP (ORDER BY m.value_as_number) AS q1,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY m.value_as_number) AS q2,
       percentile_cont(0.75) WITHIN GROUP (ORDER BY m.value_as_number) AS q3
FROM measurement m
JOIN person p ON p.person_id = m.person_id
WHERE m.value_as_number IS NOT NULL
GROUP BY 1, 2
ORDER BY 1, 2
