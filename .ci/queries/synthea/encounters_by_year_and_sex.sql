-- How many encounters are there by year and sex, with totals?
SELECT extract(year FROM v.visit_start_date) AS year,
       CASE p.gender_concept_id WHEN 8507 THEN 'M' WHEN 8532 THEN 'F' END AS sex,
       count(*) AS encounters, count(DISTINCT v.person_id) AS patients
FROM visit_occurrence v
JOIN person p ON p.person_id = v.person_id
GROUP BY ROLLUP (extract(year FROM v.visit_start_date),
                 CASE p.gender_concept_id WHEN 8507 THEN 'M' WHEN 8532 THEN 'F' END)
ORDER BY year NULLS LAST, sex NULLS LAST
-- @source
SELECT extract(year FROM CAST(left(e.start, 10) AS DATE)) AS year, p.gender AS sex, count(*) AS encounters,
       count(DISTINCT e.patient) AS patients
FROM encounters e
JOIN patients p ON p.id = e.patient
GROUP BY ROLLUP (extract(year FROM CAST(left(e.start, 10) AS DATE)), p.gender)
ORDER BY year NULLS LAST, sex NULLS LAST
