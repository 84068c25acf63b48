-- Which concepts are reached from conditions by climbing up to three single steps of the hierarchy?
WITH RECURSIVE climbed AS (
    SELECT DISTINCT condition_concept_id AS concept_id, 0 AS steps FROM condition_occurrence
    UNION ALL
    SELECT ca.ancestor_concept_id AS concept_id, climbed.steps + 1 AS steps
    FROM climbed
    JOIN concept_ancestor ca ON ca.descendant_concept_id = climbed.concept_id
    WHERE ca.min_levels_of_separation = 1 AND climbed.steps < 3
)
SELECT steps, count(*) AS paths, count(DISTINCT concept_id) AS concepts
FROM climbed
GROUP BY steps
ORDER BY steps
