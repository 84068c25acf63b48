-- Which drugs follow which conditions within 30 days, in how many persons?
SELECT co.condition_concept_id, de.drug_concept_id, count(DISTINCT co.person_id) AS persons
FROM condition_occurrence co
JOIN drug_exposure de
  ON de.person_id = co.person_id
 AND de.drug_exposure_start_date >= co.condition_start_date
 AND de.drug_exposure_start_date <= CAST(co.condition_start_date + INTERVAL '30' DAY AS DATE)
GROUP BY co.condition_concept_id, de.drug_concept_id
HAVING count(DISTINCT co.person_id) >= 2
ORDER BY persons DESC, co.condition_concept_id, de.drug_concept_id
