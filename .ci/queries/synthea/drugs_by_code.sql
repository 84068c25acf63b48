-- Which drugs and vaccines were given, how often, to how many patients, since when?
SELECT drug_source_value AS code, count(*) AS records, count(DISTINCT person_id) AS patients,
       min(drug_exposure_start_date) AS first_day, max(drug_exposure_start_date) AS last_day
FROM drug_exposure
GROUP BY drug_source_value
ORDER BY code
-- @source
SELECT code, count(*) AS records, count(DISTINCT patient) AS patients, min(day) AS first_day, max(day) AS last_day
FROM (
    SELECT code, patient, CAST(left(start, 10) AS DATE) AS day FROM medications
    UNION ALL
    SELECT code, patient, CAST(left(date, 10) AS DATE) FROM immunizations
)
GROUP BY code
ORDER BY code
