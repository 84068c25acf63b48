-- Which conditions below "clinical finding" (441840) and below "respiratory finding" (4024567) are recorded?
SELECT condition_concept_id, is_descendant(condition_concept_id, 4024567) AS respiratory,
       count(*) AS records, count(DISTINCT person_id) AS persons
FROM condition_occurrence
WHERE is_descendant(condition_concept_id, 441840)
GROUP BY condition_concept_id, is_descendant(condition_concept_id, 4024567)
ORDER BY condition_concept_id
