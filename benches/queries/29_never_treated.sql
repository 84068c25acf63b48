-- Persons with diabetes who never had a drug for it, by sex and year of birth.
SELECT p.gender_concept_id, p.year_of_birth, count(*) AS persons
FROM person p
WHERE EXISTS (SELECT 1 FROM condition_occurrence o JOIN concept_ancestor a ON a.descendant_concept_id = o.condition_concept_id
              WHERE o.person_id = p.person_id AND a.ancestor_concept_id = 201820)
  AND NOT EXISTS (SELECT 1 FROM drug_exposure d WHERE d.person_id = p.person_id AND d.drug_concept_id IN (40163924, 1580747, 45774751))
GROUP BY 1, 2
ORDER BY 1, 2
