-- Which observation periods have no person, and which persons no observation period?
SELECT coalesce(p.person_id, op.person_id) AS person_id, p.person_id IS NULL AS unknown_person,
       op.observation_period_id, op.observation_period_end_date - op.observation_period_start_date + 1 AS days
FROM person p
FULL JOIN observation_period op ON op.person_id = p.person_id
WHERE p.person_id IS NULL OR op.person_id IS NULL
ORDER BY person_id, op.observation_period_id
