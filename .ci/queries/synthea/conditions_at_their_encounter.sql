-- How many conditions start on the day of the encounter they belong to?
SELECT c.condition_start_date = v.visit_start_date AS same_day, count(*) AS records
FROM condition_occurrence c
JOIN visit_occurrence v ON v.visit_occurrence_id = c.visit_occurrence_id
GROUP BY c.condition_start_date = v.visit_start_date
ORDER BY same_day
-- @source
SELECT c.start = left(e.start, 10) AS same_day, count(*) AS records
FROM conditions c
JOIN encounters e ON e.id = c.encounter
GROUP BY c.start = left(e.start, 10)
ORDER BY same_day
