-- How many discharges are followed by another admission within 30 days?
WITH stays AS (
  SELECT person_id, visit_start_date, visit_end_date,
         lead(visit_start_date) OVER (PARTITION BY person_id ORDER BY visit_start_date, visit_occurrence_id) AS next_start
  FROM visit_occurrence
  WHERE visit_concept_id IN (9201, 262)
)
SELECT extract(year FROM visit_end_date) AS calendar_year, count(*) AS discharges,
       sum(CASE WHEN next_start - visit_end_date BETWEEN 0 AND 30 THEN 1 ELSE 0 END) AS readmissions
FROM stays
GROUP BY 1
ORDER BY 1
