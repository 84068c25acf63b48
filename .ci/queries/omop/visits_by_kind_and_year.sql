-- How many visits are there of each kind and year, with totals by kind and overall?
SELECT visit_concept_id, extract(year FROM visit_start_date) AS year, count(*) AS visits,
       count(DISTINCT person_id) AS persons, sum(visit_end_date - visit_start_date) AS nights,
       grouping(visit_concept_id) AS all_kinds, grouping(extract(year FROM visit_start_date)) AS all_years
FROM visit_occurrence
GROUP BY GROUPING SETS ((visit_concept_id, extract(year FROM visit_start_date)), (visit_concept_id), ())
ORDER BY all_kinds, all_years, visit_concept_id NULLS LAST, year NULLS LAST
