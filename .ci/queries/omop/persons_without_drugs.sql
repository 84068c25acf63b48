-- Which persons were never exposed to a drug, and how many conditions do they have?
SELECT p.person_id, p.year_of_birth,
       (SELECT count(*) FROM condition_occurrence co WHERE co.person_id = p.person_id) AS conditions
FROM person p
WHERE NOT EXISTS (SELECT 1 FROM drug_exposure de WHERE de.person_id = p.person_id)
ORDER BY p.person_id
