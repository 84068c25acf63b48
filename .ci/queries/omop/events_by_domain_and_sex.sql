-- How many events of each domain do women and men have, with subtotals?
WITH events AS (
    SELECT person_id, 'condition' AS domain FROM condition_occurrence
    UNION ALL SELECT person_id, 'drug' FROM drug_exposure
    UNION ALL SELECT person_id, 'procedure' FROM procedure_occurrence
    UNION ALL SELECT person_id, 'measurement' FROM measurement
    UNION ALL SELECT person_id, 'observation' FROM observation
)
SELECT domain, gender_concept_id, count(*) AS events, count(DISTINCT e.person_id) AS persons
FROM events e
JOIN person p ON p.person_id = e.person_id
GROUP BY ROLLUP (domain, gender_concept_id)
ORDER BY domain NULLS LAST, gender_concept_id NULLS LAST
