-- By how many levels are the drugs in use separated from their ancestors?
WITH used AS (SELECT DISTINCT drug_concept_id FROM drug_exposure)
SELECT ca.min_levels_of_separation AS levels, count(*) AS pairs,
       count(DISTINCT ca.ancestor_concept_id) AS ancestors, count(DISTINCT ca.descendant_concept_id) AS drugs
FROM concept_ancestor ca
WHERE ca.descendant_concept_id IN (SELECT drug_concept_id FROM used)
GROUP BY ca.min_levels_of_separation
ORDER BY levels
