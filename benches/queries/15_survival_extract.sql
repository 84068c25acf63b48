-- Time from diabetes to death or the end of observation, one row per person, in summary by age and event.
WITH entry AS (
  SELECT o.person_id, min(o.condition_start_date) AS index_date
  FROM condition_occurrence o
  WHERE o.condition_concept_id = 201826
  GROUP BY o.person_id
), follow_up AS (
  SELECT e.person_id, e.index_date, max(p.observation_period_end_date) AS end_date
  FROM entry e
  JOIN observation_period p ON p.person_id = e.person_id AND p.observation_period_end_date >= e.index_date
  GROUP BY e.person_id, e.index_date
)
SELECT extract(year FROM f.index_date) - s.year_of_birth AS age, CASE WHEN d.death_date IS NULL THEN 0 ELSE 1 END AS event,
       count(*) AS persons, sum(coalesce(d.death_date, f.end_date) - f.index_date) AS days
FROM follow_up f
JOIN person s ON s.person_id = f.person_id
LEFT JOIN death d ON d.person_id = f.person_id
GROUP BY 1, 2
ORDER BY 1, 2
