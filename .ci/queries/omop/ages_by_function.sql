-- How old were persons when their conditions started, in bands, by the engine's own functions?
SELECT age_band(age) AS band, count(*) AS records, min(age) AS youngest, max(age) AS oldest, sum(days) AS days_of_life
FROM (
    SELECT age_at(CAST(p.birth_datetime AS DATE), co.condition_start_date) AS age,
           days_between(CAST(p.birth_datetime AS DATE), co.condition_start_date) AS days
    FROM condition_occurrence co
    JOIN person p ON p.person_id = co.person_id
) AS ages
WHERE age IS NOT NULL
GROUP BY age_band(age)
ORDER BY youngest
