-- How many persons are there of each sex and decade of birth?
SELECT gender_concept_id, year_of_birth - year_of_birth % 10 AS decade, count(*) AS persons
FROM person
GROUP BY gender_concept_id, year_of_birth - year_of_birth % 10
ORDER BY gender_concept_id, decade
