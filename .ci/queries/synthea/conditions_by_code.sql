-- Which conditions are recorded, how often, in how many patients, from when to when?
SELECT condition_source_value AS code, count(*) AS records, count(DISTINCT person_id) AS patients,
       min(condition_start_date) AS first_day, max(condition_end_date) AS last_day,
       count(condition_end_date) AS resolved
FROM condition_occurrence
GROUP BY condition_source_value
ORDER BY code
-- @source
SELECT code, count(*) AS records, count(DISTINCT patient) AS patients, min(CAST(start AS DATE)) AS first_day,
       max(CAST(stop AS DATE)) AS last_day, count(stop) AS resolved
FROM conditions
GROUP BY code
ORDER BY code
