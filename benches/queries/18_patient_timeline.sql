-- Everything recorded of one patient, in time order.
SELECT 'condition' AS kind, condition_start_date AS day, condition_concept_id AS concept, condition_occurrence_id AS id
FROM condition_occurrence WHERE person_id = 43210
UNION ALL
SELECT 'drug', drug_exposure_start_date, drug_concept_id, drug_exposure_id FROM drug_exposure WHERE person_id = 43210
UNION ALL
SELECT 'measurement', measurement_date, measurement_concept_id, measurement_id FROM measurement WHERE person_id = 43210
UNION ALL
SELECT 'visit', visit_start_date, visit_concept_id, visit_occurrence_id FROM visit_occurrence WHERE person_id = 43210
UNION ALL
SELECT 'procedure', procedure_date, procedure_concept_id, procedure_occurrence_id FROM procedure_occurrence WHERE person_id = 43210
ORDER BY day, kind, id
