-- New users of a statin or of metformin after a year of observation: how many by year of start and drug?
WITH first_use AS (
  SELECT person_id, drug_concept_id, min(drug_exposure_start_date) AS index_date
  FROM drug_exposure
  WHERE drug_concept_id IN (1545958, 40163924)
  GROUP BY person_id, drug_concept_id
)
SELECT f.drug_concept_id, extract(year FROM f.index_date) AS calendar_year, count(*) AS new_users
FROM first_use f
JOIN observation_period o ON o.person_id = f.person_id
 AND f.index_date - o.observation_period_start_date >= 365
 AND f.index_date <= o.observation_period_end_date
GROUP BY 1, 2
ORDER BY 1, 2
