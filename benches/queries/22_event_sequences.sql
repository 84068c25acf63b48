-- Which condition follows which: the most frequent pairs of consecutive records of a person.
WITH ordered AS (
  SELECT person_id, condition_concept_id,
         lead(condition_concept_id) OVER (PARTITION BY person_id ORDER BY condition_start_date, condition_occurrence_id) AS next_concept_id
  FROM condition_occurrence
)
SELECT condition_concept_id, next_concept_id, count(*) AS pairs, count(DISTINCT person_id) AS persons
FROM ordered
WHERE next_concept_id IS NOT NULL AND next_concept_id <> condition_concept_id
GROUP BY condition_concept_id, next_concept_id
ORDER BY pairs DESC, condition_concept_id, next_concept_id
LIMIT 50
