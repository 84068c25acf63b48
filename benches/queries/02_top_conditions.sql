-- Which conditions do most persons have?
SELECT c.concept_name, count(DISTINCT o.person_id) AS persons, count(*) AS records
FROM condition_occurrence o
JOIN concept c ON c.concept_id = o.condition_concept_id
GROUP BY c.concept_name
ORDER BY persons DESC, c.concept_name
LIMIT 25
