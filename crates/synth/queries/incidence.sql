-- First diagnoses of type 2 diabetes and days at risk, by sex and age; person-time is split on birthdays.
WITH band(age_from, age_below) AS (
  VALUES (0, 20), (20, 40), (40, 50), (50, 60), (60, 70), (70, 200)
), first_period AS (
  SELECT person_id, min(observation_period_start_date) AS period_start, min(observation_period_end_date) AS period_end
  FROM observation_period GROUP BY person_id
), first_diabetes AS (
  SELECT c.person_id, min(c.condition_start_date) AS diabetes_date
  FROM condition_occurrence c JOIN concept_ancestor a ON a.descendant_concept_id = c.condition_concept_id
  WHERE a.ancestor_concept_id = 201826 GROUP BY c.person_id
), at_risk AS (
  SELECT f.person_id, f.period_start,
         CASE WHEN x.diabetes_date <= f.period_end THEN x.diabetes_date END AS case_date,
         CASE WHEN x.diabetes_date <= f.period_end THEN x.diabetes_date ELSE f.period_end END AS risk_end
  FROM first_period f LEFT JOIN first_diabetes x ON x.person_id = f.person_id
  WHERE x.diabetes_date IS NULL OR x.diabetes_date > f.period_start
), birthdays AS (
  -- Who was born on 29 February has the birthday on 1 March in common years.
  SELECT p.person_id, p.gender_concept_id, b.age_from, b.age_below,
         make_date(p.year_of_birth + b.age_from,
           CASE WHEN p.month_of_birth = 2 AND p.day_of_birth = 29 AND NOT ((p.year_of_birth + b.age_from) % 4 = 0 AND ((p.year_of_birth + b.age_from) % 100 <> 0 OR (p.year_of_birth + b.age_from) % 400 = 0)) THEN 3 ELSE p.month_of_birth END,
           CASE WHEN p.month_of_birth = 2 AND p.day_of_birth = 29 AND NOT ((p.year_of_birth + b.age_from) % 4 = 0 AND ((p.year_of_birth + b.age_from) % 100 <> 0 OR (p.year_of_birth + b.age_from) % 400 = 0)) THEN 1 ELSE p.day_of_birth END) AS band_start,
         make_date(p.year_of_birth + b.age_below,
           CASE WHEN p.month_of_birth = 2 AND p.day_of_birth = 29 AND NOT ((p.year_of_birth + b.age_below) % 4 = 0 AND ((p.year_of_birth + b.age_below) % 100 <> 0 OR (p.year_of_birth + b.age_below) % 400 = 0)) THEN 3 ELSE p.month_of_birth END,
           CASE WHEN p.month_of_birth = 2 AND p.day_of_birth = 29 AND NOT ((p.year_of_birth + b.age_below) % 4 = 0 AND ((p.year_of_birth + b.age_below) % 100 <> 0 OR (p.year_of_birth + b.age_below) % 400 = 0)) THEN 1 ELSE p.day_of_birth END) AS band_end
  FROM person p CROSS JOIN band b
)
SELECT b.gender_concept_id, b.age_from,
       sum(CASE WHEN r.case_date >= b.band_start AND r.case_date < b.band_end THEN 1 ELSE 0 END) AS cases,
       sum(CASE WHEN least(r.risk_end, b.band_end) > greatest(r.period_start, b.band_start)
                THEN days_between(greatest(r.period_start, b.band_start), least(r.risk_end, b.band_end)) ELSE 0 END) AS person_days
FROM at_risk r JOIN birthdays b ON b.person_id = r.person_id
GROUP BY b.gender_concept_id, b.age_from ORDER BY b.gender_concept_id, b.age_from
