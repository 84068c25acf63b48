-- Which first words do condition names have, and which vocabularies do they come from?
SELECT split_part(replace(lower(concept_name), ',', ''), ' ', 1) AS first_word, count(*) AS concepts,
       string_agg(DISTINCT vocabulary_id, '|' ORDER BY vocabulary_id) AS vocabularies,
       min(regexp_replace(concept_code, '[^0-9]', '', 'g')) AS digits
FROM concept
GROUP BY split_part(replace(lower(concept_name), ',', ''), ' ', 1)
HAVING count(*) > 1
ORDER BY concepts DESC, first_word
