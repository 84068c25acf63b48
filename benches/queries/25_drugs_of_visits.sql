-- Which drugs are prescribed in visits at which a condition was recorded? A join by person and visit.
SELECT c.condition_concept_id, count(*) AS prescriptions, count(DISTINCT d.drug_concept_id) AS drugs
FROM condition_occurrence c
JOIN drug_exposure d ON d.person_id = c.person_id AND d.visit_occurrence_id = c.visit_occurrence_id
GROUP BY c.condition_concept_id
ORDER BY prescriptions DESC, c.condition_concept_id
LIMIT 50
