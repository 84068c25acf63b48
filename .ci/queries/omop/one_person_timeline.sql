-- What happened to the person with the most conditions, in order?
WITH chosen AS (
    SELECT person_id FROM condition_occurrence GROUP BY person_id ORDER BY count(*) DESC, person_id LIMIT 1
)
SELECT day, kind, concept_id, record_id
FROM (
    SELECT condition_start_date AS day, 'condition' AS kind, condition_concept_id AS concept_id,
           condition_occurrence_id AS record_id, person_id FROM condition_occurrence
    UNION ALL
    SELECT drug_exposure_start_date, 'drug', drug_concept_id, drug_exposure_id, person_id FROM drug_exposure
    UNION ALL
    SELECT procedure_date, 'procedure', procedure_concept_id, procedure_occurrence_id, person_id
    FROM procedure_occurrence
) AS events
WHERE person_id IN (SELECT person_id FROM chosen)
ORDER BY day, kind, record_id, concept_id
