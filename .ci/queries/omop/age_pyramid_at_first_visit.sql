-- How old are persons at their first visit, in bands of ten completed years?
WITH first_visits AS (
    SELECT person_id, min(visit_start_date) AS visited FROM visit_occurrence GROUP BY person_id
), ages AS (
    SELECT p.gender_concept_id,
           extract(year FROM visited) - p.year_of_birth
           - CASE WHEN extract(month FROM visited) * 100 + extract(day FROM visited)
                       < p.month_of_birth * 100 + p.day_of_birth THEN 1 ELSE 0 END AS age
    FROM first_visits f
    JOIN person p ON p.person_id = f.person_id
)
SELECT gender_concept_id, age - age % 10 AS band, count(*) AS persons, sum(age) AS years
FROM ages
GROUP BY gender_concept_id, age - age % 10
ORDER BY gender_concept_id, band
