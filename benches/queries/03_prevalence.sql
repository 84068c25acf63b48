-- How many persons have a record of heart disease in each year, by sex and ten-year age band?
SELECT extract(year FROM o.condition_start_date) AS calendar_year, p.gender_concept_id,
       CAST(floor((extract(year FROM o.condition_start_date) - p.year_of_birth) / 10.0) AS INTEGER) * 10 AS age_from,
       count(DISTINCT o.person_id) AS persons
FROM condition_occurrence o
JOIN concept_ancestor a ON a.descendant_concept_id = o.condition_concept_id
JOIN person p ON p.person_id = o.person_id
WHERE a.ancestor_concept_id = 321588
GROUP BY 1, 2, 3
ORDER BY 1, 2, 3
