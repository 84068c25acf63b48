-- Which pairs of conditions occur in the same person most often?
WITH had AS (SELECT DISTINCT person_id, condition_concept_id FROM condition_occurrence)
SELECT a.condition_concept_id AS first_condition, b.condition_concept_id AS second_condition, count(*) AS persons
FROM had a
JOIN had b ON b.person_id = a.person_id AND b.condition_concept_id > a.condition_concept_id
GROUP BY a.condition_concept_id, b.condition_concept_id
ORDER BY persons DESC, first_condition, second_condition
LIMIT 200
