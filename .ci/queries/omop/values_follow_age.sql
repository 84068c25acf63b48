-- How do the values of a measurement move with age?
SELECT m.measurement_concept_id, count(*) AS results,
       corr(m.value_as_number, CAST(m.measurement_date - CAST(p.birth_datetime AS DATE) AS DOUBLE)) AS correlation,
       covar_samp(m.value_as_number, CAST(p.year_of_birth AS DOUBLE)) AS covariance
FROM measurement m
JOIN person p ON p.person_id = m.person_id
WHERE m.value_as_number IS NOT NULL
GROUP BY m.measurement_concept_id
HAVING count(*) >= 10 AND min(m.value_as_number) < max(m.value_as_number)
ORDER BY m.measurement_concept_id
