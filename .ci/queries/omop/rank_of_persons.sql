-- Who has the most records, with ties ranked alike?
WITH counted AS (
    SELECT person_id, count(*) AS records
    FROM condition_occurrence
    GROUP BY person_id
)
SELECT person_id, records, rank() OVER (ORDER BY records DESC) AS place,
       dense_rank() OVER (ORDER BY records DESC) AS dense_place,
       ntile(10) OVER (ORDER BY records DESC, person_id) AS decile,
       percent_rank() OVER (ORDER BY records) AS percentile
FROM counted
ORDER BY records DESC, person_id
