-- How many persons have each comorbidity score: one point for each of ten groups of conditions, two for cancer?
WITH weights(ancestor, points) AS (
  VALUES (321588, 1), (320136, 1), (198124, 1), (201820, 1), (432586, 1), (73553, 1), (443392, 2), (439777, 1), (81902, 1), (75053, 1)
), per_group AS (
  SELECT DISTINCT o.person_id, w.ancestor, w.points
  FROM condition_occurrence o
  JOIN concept_ancestor a ON a.descendant_concept_id = o.condition_concept_id
  JOIN weights w ON w.ancestor = a.ancestor_concept_id
), score AS (
  SELECT p.person_id, coalesce(sum(g.points), 0) AS points
  FROM person p
  LEFT JOIN per_group g ON g.person_id = p.person_id
  GROUP BY p.person_id
)
SELECT points, count(*) AS persons
FROM score
GROUP BY points
ORDER BY points
