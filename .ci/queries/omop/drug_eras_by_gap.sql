-- Which spans of exposure to a drug result when gaps of up to 30 days are bridged?
WITH exposures AS (
    SELECT person_id, drug_concept_id, drug_exposure_start_date AS started,
           coalesce(drug_exposure_end_date, drug_exposure_start_date) AS ended, drug_exposure_id
    FROM drug_exposure
), reached AS (
    SELECT *, max(ended) OVER (
        PARTITION BY person_id, drug_concept_id ORDER BY started, ended, drug_exposure_id
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS ended_so_far
    FROM exposures
), numbered AS (
    SELECT *, sum(CASE WHEN ended_so_far IS NULL OR started - ended_so_far > 30 THEN 1 ELSE 0 END) OVER (
        PARTITION BY person_id, drug_concept_id ORDER BY started, ended, drug_exposure_id
        ROWS UNBOUNDED PRECEDING
    ) AS era
    FROM reached
)
SELECT person_id, drug_concept_id, era, min(started) AS era_start, max(ended) AS era_end, count(*) AS exposures
FROM numbered
GROUP BY person_id, drug_concept_id, era
HAVING count(*) > 1
ORDER BY person_id, drug_concept_id, era
