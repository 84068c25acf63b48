//! The questions of the demo, in SQL.

use super::truth::Truth;

/// A question, its words and its SQL.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) title: &'static str,
    pub(crate) about: &'static str,
    pub(crate) sql: &'static str,
}

/// The three questions.
pub(crate) const ALL: [Question; 3] = [
    Question {
        title: "Who are the patients?",
        about: "",
        sql: "\
SELECT c.concept_name AS sex,
       count(*) AS patients,
       round(avg(age_at(p.birth_datetime, DATE '2024-12-31')), 1) AS mean_age,
       count(d.person_id) AS died
FROM person p
JOIN concept c ON c.concept_id = p.gender_concept_id
LEFT JOIN death d ON d.person_id = p.person_id
GROUP BY c.concept_name
ORDER BY sex;",
    },
    Question {
        title: "What are they treated for?",
        about: "The vocabulary is a table like any other.",
        sql: "\
SELECT c.concept_name AS condition,
       count(DISTINCT o.person_id) AS patients,
       count(*) AS records
FROM condition_occurrence o
JOIN concept c ON c.concept_id = o.condition_concept_id
GROUP BY c.concept_name
ORDER BY patients DESC, condition
LIMIT 8;",
    },
    Question {
        title: "How soon do they come back?",
        about: "A window over each patient's stays. The store keeps every patient's records together and in \
                order of time, so that the engine need not bring them together first.",
        sql: "\
WITH stays AS (
  SELECT person_id, visit_start_date, visit_end_date,
         lead(visit_start_date) OVER (
           PARTITION BY person_id ORDER BY visit_start_date) AS next_start
  FROM visit_occurrence
  WHERE visit_concept_id IN (9201, 262)
)
SELECT extract(year FROM visit_end_date) AS year,
       count(*) AS discharges,
       round(100.0 * avg(CASE WHEN days_between(visit_end_date, next_start) <= 30
                              THEN 1 ELSE 0 END), 1) AS percent_back_in_30_days
FROM stays
GROUP BY year
ORDER BY year DESC
LIMIT 5;",
    },
];

/// The curve, from the view of new users.
pub(crate) const CURVE: &str = "\
SELECT drug, kaplan_meier(time, event)
FROM new_users          -- a view: first use of either drug, its first day, stroke or not
GROUP BY drug;";

/// The curves as rows.
pub(crate) const CURVE_ROWS: &str = "\
SELECT drug, c['time'] AS time, c['n_risk'] AS n_risk, c['n_event'] AS n_event,
       c['survival'] AS survival, c['lower'] AS lower, c['upper'] AS upper
FROM (SELECT drug, unnest(kaplan_meier(time, event)) AS c FROM new_users GROUP BY drug)
ORDER BY drug, time";

/// Persons, events and days of both groups.
pub(crate) const COUNTS: &str = "\
SELECT drug, count(*) AS persons, sum(event) AS events, sum(time) AS days
FROM new_users GROUP BY drug ORDER BY drug";

/// The new users of either drug, as `truth.json` defines them.
pub(crate) fn new_users(truth: &Truth) -> String {
    format!(
        "\
CREATE VIEW new_users AS
WITH period AS (
  SELECT person_id, observation_period_start_date AS opened, observation_period_end_date AS closed
  FROM (SELECT *, row_number() OVER (
          PARTITION BY person_id ORDER BY observation_period_start_date) AS number
        FROM observation_period)
  WHERE number = 1
), first_use AS (
  SELECT d.person_id,
         CASE a.ancestor_concept_id WHEN {treatment} THEN '{treatment_name}' ELSE '{comparator_name}' END AS drug,
         min(d.drug_exposure_start_date) AS index_date
  FROM drug_exposure d
  JOIN concept_ancestor a ON a.descendant_concept_id = d.drug_concept_id
  WHERE a.ancestor_concept_id IN ({treatment}, {comparator})
  GROUP BY d.person_id, a.ancestor_concept_id
), outcome AS (
  SELECT person_id, min(condition_start_date) AS first_outcome
  FROM condition_occurrence
  WHERE condition_concept_id IN (
    SELECT descendant_concept_id FROM concept_ancestor WHERE ancestor_concept_id = {outcome})
  GROUP BY person_id
)
SELECT u.person_id, u.drug,
       days_between(u.index_date,
         CASE WHEN o.first_outcome <= p.closed THEN o.first_outcome ELSE p.closed END) AS time,
       CASE WHEN o.first_outcome <= p.closed THEN 1 ELSE 0 END AS event
FROM first_use u
JOIN period p ON p.person_id = u.person_id
LEFT JOIN outcome o ON o.person_id = u.person_id
WHERE days_between(p.opened, u.index_date) >= 365
  AND u.index_date < p.closed
  AND (o.first_outcome IS NULL OR o.first_outcome > u.index_date);",
        treatment = truth.treatment_concept,
        comparator = truth.comparator_concept,
        treatment_name = truth.treatment,
        comparator_name = truth.comparator,
        outcome = truth.outcome_concept,
    )
}
