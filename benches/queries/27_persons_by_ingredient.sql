-- Persons, prescriptions and days supplied by ingredient, over the drug hierarchy.
SELECT c.concept_name, count(DISTINCT d.person_id) AS persons, count(*) AS prescriptions, sum(d.days_supply) AS days
FROM drug_exposure d
JOIN concept_ancestor a ON a.descendant_concept_id = d.drug_concept_id
JOIN concept c ON c.concept_id = a.ancestor_concept_id
WHERE c.concept_class_id = 'Ingredient'
GROUP BY c.concept_name
ORDER BY persons DESC, c.concept_name
