-- Eras of lisinopril with gaps of up to 30 days bridged: how many, and how long?
WITH exposures AS (
  SELECT d.person_id, d.drug_exposure_start_date AS started, coalesce(d.drug_exposure_end_date, d.drug_exposure_start_date) AS ended,
         d.drug_exposure_id
  FROM drug_exposure d
  JOIN concept_ancestor a ON a.descendant_concept_id = d.drug_concept_id
  WHERE a.ancestor_concept_id = 1308216
), reached AS (
  SELECT *, max(ended) OVER (PARTITION BY person_id ORDER BY started, drug_exposure_id
                             ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS reach
  FROM exposures
), numbered AS (
  SELECT *, sum(CASE WHEN reach IS NULL OR started - reach > 30 THEN 1 ELSE 0 END)
              OVER (PARTITION BY person_id ORDER BY started, drug_exposure_id ROWS UNBOUNDED PRECEDING) AS era
  FROM reached
), eras AS (
  SELECT person_id, era, min(started) AS era_start, max(ended) AS era_end, count(*) AS exposures
  FROM numbered
  GROUP BY person_id, era
)
SELECT count(*) AS eras, sum(era_end - era_start + 1) AS days, sum(exposures) AS exposures, max(exposures) AS most
FROM eras
