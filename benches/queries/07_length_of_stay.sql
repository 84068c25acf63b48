-- Median and mean length of stay by kind of visit, sex and year.
SELECT v.visit_concept_id, p.gender_concept_id, extract(year FROM v.visit_start_date) AS calendar_year, count(*) AS stays,
       median(v.visit_end_date - v.visit_start_date) AS median_days,
       sum(v.visit_end_date - v.visit_start_date) AS days
FROM visit_occurrence v
JOIN person p ON p.person_id = v.person_id
GROUP BY 1, 2, 3
ORDER BY 1, 2, 3
