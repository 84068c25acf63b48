-- Which drug exposure keys are used more than once?
SELECT drug_exposure_id, count(*) AS records, count(DISTINCT person_id) AS persons
FROM drug_exposure
GROUP BY drug_exposure_id
HAVING count(*) > 1
ORDER BY drug_exposure_id
