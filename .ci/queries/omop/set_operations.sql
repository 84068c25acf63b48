-- Who had a condition and a procedure but no observation?
SELECT person_id FROM condition_occurrence
INTERSECT
SELECT person_id FROM procedure_occurrence
EXCEPT
SELECT person_id FROM observation
ORDER BY person_id
