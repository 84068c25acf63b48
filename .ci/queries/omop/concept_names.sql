-- What do the names of concepts look like?
SELECT upper(substr(trim(concept_name), 1, 1)) AS initial, domain_id, count(*) AS concepts,
       max(length(concept_name)) AS longest, min(lower(concept_name)) AS first_name,
       sum(CASE WHEN concept_name LIKE '%mg%' OR concept_name LIKE '%MG%' THEN 1 ELSE 0 END) AS with_mg,
       max(strpos(concept_name, ' ')) AS first_space
FROM concept
GROUP BY upper(substr(trim(concept_name), 1, 1)), domain_id
ORDER BY initial, domain_id
