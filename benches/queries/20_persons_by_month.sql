-- Persons seen in each month, and visits.
SELECT date_trunc('month', visit_start_date) AS calendar_month, count(DISTINCT person_id) AS persons, count(*) AS visits
FROM visit_occurrence
GROUP BY 1
ORDER BY 1
