-- Kaplan-Meier by hand: survival after the first record of heart failure, by month, from counts at risk.
WITH entry AS (
  SELECT o.person_id, min(o.condition_start_date) AS index_date
  FROM condition_occurrence o
  JOIN concept_ancestor a ON a.descendant_concept_id = o.condition_concept_id
  WHERE a.ancestor_concept_id = 316139
  GROUP BY o.person_id
), follow_up AS (
  SELECT e.person_id, coalesce(min(d.death_date), max(p.observation_period_end_date)) - min(e.index_date) AS days,
         CASE WHEN min(d.death_date) IS NULL THEN 0 ELSE 1 END AS event
  FROM entry e
  JOIN observation_period p ON p.person_id = e.person_id
  LEFT JOIN death d ON d.person_id = e.person_id
  GROUP BY e.person_id
), per_day AS (
  SELECT days, sum(event) AS events, count(*) AS leaving
  FROM follow_up
  WHERE days >= 0
  GROUP BY days
), at_risk AS (
  SELECT days, events, sum(leaving) OVER (ORDER BY days DESC ROWS UNBOUNDED PRECEDING) AS n
  FROM per_day
)
SELECT days, events, n, exp(sum(ln(1.0 - CAST(events AS DOUBLE) / CAST(n AS DOUBLE))) OVER (ORDER BY days ROWS UNBOUNDED PRECEDING)) AS survival
FROM at_risk
WHERE events > 0 AND n > events
ORDER BY days
