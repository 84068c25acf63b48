-- After how many days do patients come back, of whatever visit? Every visit of everybody is followed.
WITH visits AS (
  SELECT person_id, visit_concept_id, visit_end_date,
         lead(visit_start_date) OVER (PARTITION BY person_id ORDER BY visit_start_date, visit_occurrence_id) AS next_start
  FROM visit_occurrence
)
SELECT visit_concept_id, count(*) AS visits, count(next_start) AS followed,
       sum(CASE WHEN next_start - visit_end_date <= 30 THEN 1 ELSE 0 END) AS within_30,
       sum(next_start - visit_end_date) AS days
FROM visits
GROUP BY visit_concept_id
ORDER BY visit_concept_id
