-- Which conditions are most common, by the number of persons who ever had them?
SELECT c.concept_id, c.concept_name, count(DISTINCT co.person_id) AS persons, count(*) AS records
FROM condition_occurrence co
JOIN concept c ON c.concept_id = co.condition_concept_id
GROUP BY c.concept_id, c.concept_name
ORDER BY persons DESC, records DESC, c.concept_id
LIMIT 40
