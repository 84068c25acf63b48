-- Which relationships do concepts have, how often, and in force how long?
SELECT relationship_id, count(*) AS relationships, count(DISTINCT concept_id_1) AS concepts,
       min(valid_start_date) AS earliest, max(valid_end_date) AS latest, count(invalid_reason) AS invalid
FROM concept_relationship
GROUP BY relationship_id
ORDER BY relationships DESC, relationship_id
