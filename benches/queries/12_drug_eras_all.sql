-- Eras of every drug of everybody with gaps of up to 30 days bridged.
WITH exposures AS (
  SELECT person_id, drug_concept_id, drug_exposure_start_date AS started,
         coalesce(drug_exposure_end_date, drug_exposure_start_date) AS ended, drug_exposure_id
  FROM drug_exposure
), reached AS (
  SELECT *, max(ended) OVER (PARTITION BY person_id, drug_concept_id ORDER BY started, drug_exposure_id
                             ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS reach
  FROM exposures
), numbered AS (
  SELECT *, sum(CASE WHEN reach IS NULL OR started - reach > 30 THEN 1 ELSE 0 END)
              OVER (PARTITION BY person_id, drug_concept_id ORDER BY started, drug_exposure_id ROWS UNBOUNDED PRECEDING) AS era
  FROM reached
), eras AS (
  SELECT person_id, drug_concept_id, era, min(started) AS era_start, max(ended) AS era_end, count(*) AS exposures
  FROM numbered
  GROUP BY person_id, drug_concept_id, era
)
SELECT drug_concept_id, count(*) AS eras, sum(era_end - era_start + 1) AS days, sum(exposures) AS exposures
FROM eras
GROUP BY drug_concept_id
ORDER BY drug_concept_id
