-- Persons who take a statin and metformin at the same time, and for how many days together.
SELECT count(DISTINCT w.person_id) AS persons, count(*) AS overlaps,
       sum(least(w.drug_exposure_end_date, s.drug_exposure_end_date)
           - greatest(w.drug_exposure_start_date, s.drug_exposure_start_date) + 1) AS days
FROM drug_exposure w
JOIN drug_exposure s ON s.person_id = w.person_id
 AND s.drug_exposure_start_date <= w.drug_exposure_end_date
 AND s.drug_exposure_end_date >= w.drug_exposure_start_date
WHERE w.drug_concept_id = 1545958 AND s.drug_concept_id = 40163924
