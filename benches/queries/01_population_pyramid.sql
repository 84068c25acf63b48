-- How many persons of each sex and ten-year age band are under observation on 1 January 2020?
SELECT p.gender_concept_id,
       CASE WHEN 2020 - p.year_of_birth < 10 THEN 0 WHEN 2020 - p.year_of_birth < 20 THEN 10
            WHEN 2020 - p.year_of_birth < 30 THEN 20 WHEN 2020 - p.year_of_birth < 40 THEN 30
            WHEN 2020 - p.year_of_birth < 50 THEN 40 WHEN 2020 - p.year_of_birth < 60 THEN 50
            WHEN 2020 - p.year_of_birth < 70 THEN 60 WHEN 2020 - p.year_of_birth < 80 THEN 70 ELSE 80 END AS age_from,
       count(DISTINCT p.person_id) AS persons
FROM person p
JOIN observation_period o ON o.person_id = p.person_id
WHERE o.observation_period_start_date <= DATE '2020-01-01' AND o.observation_period_end_date >= DATE '2020-01-01'
GROUP BY 1, 2
ORDER BY 1, 2
