-- Are all persons there with all that is known of their birth?
SELECT person_id, year_of_birth, month_of_birth, day_of_birth, birth_datetime, person_source_value
FROM person
ORDER BY person_id
