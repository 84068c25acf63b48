-- Admissions per person-year at risk in each calendar year, by sex.
WITH years(calendar_year) AS (
  VALUES (2015), (2016), (2017), (2018), (2019), (2020), (2021), (2022), (2023), (2024)
), at_risk AS (
  SELECT y.calendar_year, p.gender_concept_id,
         sum(least(o.observation_period_end_date, make_date(y.calendar_year, 12, 31))
             - greatest(o.observation_period_start_date, make_date(y.calendar_year, 1, 1)) + 1) AS person_days
  FROM observation_period o
  JOIN person p ON p.person_id = o.person_id
  JOIN years y ON o.observation_period_start_date <= make_date(y.calendar_year, 12, 31)
   AND o.observation_period_end_date >= make_date(y.calendar_year, 1, 1)
  GROUP BY 1, 2
), admissions AS (
  SELECT CAST(extract(year FROM v.visit_start_date) AS INTEGER) AS calendar_year, p.gender_concept_id, count(*) AS admissions
  FROM visit_occurrence v
  JOIN person p ON p.person_id = v.person_id
  WHERE v.visit_concept_id IN (9201, 262)
  GROUP BY 1, 2
)
SELECT r.calendar_year, r.gender_concept_id, r.person_days, coalesce(a.admissions, 0) AS admissions
FROM at_risk r
LEFT JOIN admissions a ON a.calendar_year = r.calendar_year AND a.gender_concept_id = r.gender_concept_id
ORDER BY 1, 2
