-- How many persons have a condition below each of the broadest concepts?
SELECT ca.ancestor_concept_id, count(DISTINCT co.person_id) AS persons,
       count(DISTINCT co.condition_concept_id) AS concepts, count(*) AS records
FROM condition_occurrence co
JOIN concept_ancestor ca ON ca.descendant_concept_id = co.condition_concept_id
GROUP BY ca.ancestor_concept_id
ORDER BY persons DESC, records DESC, ca.ancestor_concept_id
LIMIT 100
