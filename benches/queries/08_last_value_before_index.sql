-- The last systolic blood pressure within a year before the first record of heart failure.
WITH index_event AS (
  SELECT o.person_id, min(o.condition_start_date) AS index_date
  FROM condition_occurrence o
  JOIN concept_ancestor a ON a.descendant_concept_id = o.condition_concept_id
  WHERE a.ancestor_concept_id = 316139
  GROUP BY o.person_id
), candidate AS (
  SELECT i.person_id, i.index_date, m.measurement_date, m.value_as_number,
         row_number() OVER (PARTITION BY i.person_id ORDER BY m.measurement_date DESC, m.measurement_id DESC) AS n
  FROM index_event i
  JOIN measurement m ON m.person_id = i.person_id AND m.measurement_concept_id = 3004249
   AND m.measurement_date <= i.index_date AND m.measurement_date > i.index_date - 365
)
SELECT extract(year FROM index_date) AS calendar_year, count(*) AS persons, sum(value_as_number) AS total,
       sum(index_date - measurement_date) AS days_before
FROM candidate
WHERE n = 1
GROUP BY 1
ORDER BY 1
