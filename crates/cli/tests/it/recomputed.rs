//! Statistics that roles without rows may ask: what an honest analyst gets beside a steward's answer, and what an
//! attacker does not.

use tempfile::TempDir;

use crate::support::{Ran, columna, folder, store, text};

const POLICY: &str = r#"
version = 1
[roles.exact]
kind = "aggregate"
purposes = ["research"]
disclosure = { profile = "cms" }
[roles.rounded]
kind = "aggregate"
purposes = ["research"]
disclosure = { profile = "opensafely" }
[[rules]]
tables = ["@clinical", "@derived"]
classes = { person_key = "raw", code = "raw", value = "raw", date = "raw", quasi = "raw", key = "raw" }
"#;

/// The first diagnosis of a frequent condition in observation, person by person.
const ONSET: &str = "(SELECT p.person_id, p.gender_concept_id = 8532 AS woman, p.year_of_birth AS born,
    f.first IS NOT NULL AS ill,
    days_between(p.birth_datetime, coalesce(f.first, o.ends)) AS days
  FROM person p JOIN (SELECT person_id, max(observation_period_end_date) AS ends FROM observation_period
                      GROUP BY person_id) o ON o.person_id = p.person_id
  LEFT JOIN (SELECT person_id, min(condition_start_date) AS first FROM condition_occurrence
             WHERE condition_concept_id = 260139 GROUP BY person_id) f ON f.person_id = p.person_id) AS d";

struct Desk {
    folder: TempDir,
}

impl Desk {
    fn new() -> Self {
        let folder = folder();
        std::fs::write(folder.path().join("policy.toml"), POLICY).expect("written");
        Self { folder }
    }

    fn ask(&self, role: &str, principal: &str, sql: &str) -> Ran {
        let policy = text(&self.folder.path().join("policy.toml"));
        let state = text(&self.folder.path().join("state"));
        let store = store();
        let mut all = vec!["sql", "--store", &store, "--format", "csv", "-c", sql];
        if role != "steward" {
            all.extend(["--policy", &policy, "--state", &state, "--role", role]);
            all.extend(["--purpose", "research", "--principal", principal]);
        }
        columna(&all)
    }

    /// The numbers of an answer's only row; nothing for those that are withheld.
    fn numbers(&self, role: &str, principal: &str, sql: &str) -> Vec<Option<f64>> {
        let out = self.ask(role, principal, sql).ok();
        let row = out.lines().nth(1).unwrap_or_default();
        row.split(',').map(|number| number.parse().ok()).collect()
    }

    /// As by somebody who asked nothing before.
    fn number(&self, role: &str, sql: &str) -> Option<f64> {
        self.numbers(role, &format!("{role} {sql}"), sql)[0]
    }
}

#[test]
fn statistics_are_near_those_of_a_steward() {
    let desk = Desk::new();
    // What is asked, and how far from the steward's answer it may be: exact counts give exact answers, and means,
    // sums and steps of time are as exact as they are shown. Of survival, the last steps of few persons are not.
    for (what, from, within) in [
        ("odds_ratio(woman, ill)['estimate']", ONSET, 1e-9),
        (
            "odds_ratio(woman, ill, method => 'exact', conf_level => 0.9)['upper']",
            ONSET,
            1e-9,
        ),
        ("risk_ratio(woman, ill)['lower']", ONSET, 1e-9),
        ("risk_difference(woman, ill)['estimate']", ONSET, 1e-9),
        ("chi_squared_test(woman, ill)['p_value']", ONSET, 1e-9),
        ("fisher_exact(woman, ill)['p_value']", ONSET, 1e-9),
        ("mcnemar_test(woman, ill)['chisq']", ONSET, 1e-9),
        ("proportion(ill)['estimate']", ONSET, 1e-9),
        ("smd(born < 1970, woman)", ONSET, 1e-9),
        ("smd(born, woman)", ONSET, 0.25),
        ("incidence_rate(ill, days)['rate']", ONSET, 0.05),
        (
            "incidence_rate(ill, least(days, 9000))['rate']",
            ONSET,
            0.05,
        ),
        (
            "incidence_rate(CASE WHEN ill THEN 1 ELSE 0 END, days)['events']",
            ONSET,
            1e-9,
        ),
        ("rate_ratio(ill, days, woman)['estimate']", ONSET, 0.1),
        ("rate_difference(ill, days, woman)['upper']", ONSET, 0.3),
        ("rmst(days, ill, 15000)['estimate']", ONSET, 0.1),
        (
            "logrank_test(days, ill, woman)['groups'][1]['n']",
            ONSET,
            1e-9,
        ),
        (
            "logrank_test(days, ill, woman)['groups'][1]['observed']",
            ONSET,
            0.25,
        ),
        (
            "logrank_test(days, ill, woman)['groups'][2]['expected']",
            ONSET,
            0.25,
        ),
        ("survival_quantile(days, ill, 0.2)['time']", ONSET, 0.5),
    ] {
        let sql = format!("SELECT {what} AS s FROM {from}");
        let truth = desk.number("steward", &sql).expect("the steward's");
        let shown = desk.number("exact", &sql);
        assert!(shown.is_some(), "{what} is withheld, and is {truth}");
        let shown = shown.unwrap_or_default();
        assert!(
            (shown - truth).abs() <= within * truth.abs().max(1e-9),
            "{what}: {shown} for {truth}"
        );
    }
    // Rounded counts make rounded statistics, of the same size.
    let sql = format!("SELECT odds_ratio(woman, ill)['estimate'] AS s FROM {ONSET}");
    let (truth, shown) = (desk.number("steward", &sql), desk.number("rounded", &sql));
    let ratio = shown.expect("shown") / truth.expect("known");
    assert!(ratio != 1.0 && (0.8..1.25).contains(&ratio), "{ratio}");
    // By group.
    let sql =
        format!("SELECT woman, incidence_rate(ill, days)['rate'] AS s FROM {ONSET} GROUP BY woman");
    assert_eq!(desk.ask("exact", "ana", &sql).ok().lines().count(), 3);
}

#[test]
fn a_single_person_shows_in_none_of_them() {
    let desk = Desk::new();
    let few = "(born = 1950)";
    // A cell, a group or an outcome of few persons: all of it is withheld.
    for what in [
        format!("odds_ratio({few}, ill)['estimate']"),
        format!("risk_difference(woman, ill AND {few})['estimate']"),
        format!("fisher_exact({few}, woman)['p_value']"),
        format!("proportion({few})['events']"),
        format!("smd(born, {few})"),
        format!("smd({few}, woman)"),
        format!("incidence_rate({few}, days)['events']"),
        format!("rate_ratio(ill, days, {few})['estimate']"),
        format!("logrank_test(days, ill, {few})['chisq']"),
        format!("logrank_test(days, {few}, woman)['chisq']"),
        format!("rmst(days, ill, 15000) FILTER (WHERE {few})"),
    ] {
        let sql = format!("SELECT {what} AS s FROM {ONSET}");
        for role in ["exact", "rounded"] {
            let out = desk.ask(role, "eve", &sql).ok();
            let answer = out
                .lines()
                .nth(1)
                .unwrap_or_default()
                .trim_matches('"')
                .to_owned();
            assert!(answer.is_empty(), "{role}, {what}: {answer}");
        }
    }
    // Covariates that differ in nobody have no model, and neither have those that differ in few.
    for (second, shown) in [
        ("1950-01-01", false),
        ("1950-01-08", false),
        ("1975-01-01", true),
    ] {
        let sql = format!(
            "SELECT logistic_regression(gender_concept_id = 8532, named_struct('a', birth_datetime < timestamp '1950-01-01',
               'b', birth_datetime < timestamp '{second}')) AS m
             FROM person WHERE birth_datetime IS NOT NULL AND gender_concept_id IS NOT NULL"
        );
        let out = desk.ask("exact", second, &sql).ok();
        let answer = out.lines().nth(1).unwrap_or_default();
        assert_eq!(
            !answer.trim_matches('"').is_empty(),
            shown,
            "{second}: {answer}"
        );
    }
    // An empty cell is like a small one.
    let sql = format!("SELECT odds_ratio(born > 3000, ill)['estimate'] AS s FROM {ONSET}");
    assert_eq!(desk.number("exact", &sql), None);
    // One person more or less in a cell: the same answer.
    for what in [
        "odds_ratio(woman, ill)['estimate']",
        "smd(born, woman)",
        "incidence_rate(ill, days)['rate']",
        "logrank_test(days, ill, woman)['chisq']",
    ] {
        let all = format!("SELECT {what} AS s FROM {ONSET}");
        let one = "SELECT person_id FROM person ORDER BY year_of_birth, month_of_birth, day_of_birth LIMIT 1";
        let person = desk.number("steward", one).expect("a person");
        let birthday = format!(
            "SELECT year_of_birth, month_of_birth, day_of_birth FROM person WHERE person_id = {person}"
        );
        let born = desk.numbers("steward", "", &birthday);
        let day: Vec<String> = ["year", "month", "day"]
            .iter()
            .zip(&born)
            .map(|(unit, number)| format!("x.{unit}_of_birth = {}", number.expect("a number")))
            .collect();
        let less = format!(
            "SELECT {what} AS s FROM {ONSET} JOIN person x ON x.person_id = d.person_id WHERE NOT ({})",
            day.join(" AND ")
        );
        let shown = desk.numbers("exact", what, &all);
        assert!(shown[0].is_some(), "{what}");
        assert_eq!(desk.numbers("exact", what, &less), shown, "{what}");
    }
}

/// A standard error is that of the cells of outcome and covariate: those of few persons have none.
#[test]
fn regressions_stand_on_k_persons_in_each_cell() {
    let desk = Desk::new();
    let woman = "CASE WHEN p.gender_concept_id = 8532 THEN 1 ELSE 0 END";
    let from = "person p JOIN (SELECT person_id, max(observation_period_end_date) AS ends
        FROM observation_period GROUP BY person_id) o ON o.person_id = p.person_id
        WHERE p.birth_datetime IS NOT NULL AND p.year_of_birth IS NOT NULL AND p.gender_concept_id IS NOT NULL AND o.ends IS NOT NULL";
    let days = "days_between(p.birth_datetime, o.ends)";
    let count = |condition: &str| {
        let sql = format!(
            "SELECT count(*) FROM person p WHERE p.gender_concept_id = 8532 AND {condition}"
        );
        desk.number("steward", &sql).unwrap_or_default()
    };
    let (few, many) = ("p.year_of_birth = 1950", "p.year_of_birth > 1975");
    assert!((1.0..11.0).contains(&count(few)) && count(many) > 30.0);
    for (of_women, shown) in [
        (many, true),
        (few, false),
        ("p.year_of_birth < 1000", false),
    ] {
        let outcome = format!(
            "CASE WHEN p.gender_concept_id = 8532 THEN {of_women} ELSE p.year_of_birth > 1960 END"
        );
        let events = format!("{outcome}, named_struct('woman', {woman})");
        for (what, number) in [("logistic_regression(", ""), ("cox_ph(", days)] {
            let comma = if number.is_empty() { "" } else { ", " };
            let sql = format!(
                "SELECT list_extract({what}{number}{comma}{events}), -1)['std_err'] AS s FROM {from}"
            );
            let found = desk.number("exact", &sql);
            assert_eq!(found.is_some(), shown, "{what} {of_women}: {found:?}");
        }
    }
    // Nor where persons are parted by a number, but for one of them.
    for other in ["false", few] {
        let sql = format!(
            "SELECT list_extract(logistic_regression(({other}) <> (p.year_of_birth > 1970), named_struct('born', p.year_of_birth)), -1)['std_err'] AS s
             FROM person p WHERE p.year_of_birth IS NOT NULL"
        );
        assert_eq!(desk.number("exact", &sql), None, "{other}");
    }
}

/// A model is shown or not for persons and all who are nearly they: which of both would tell of the one who makes enough of them.
#[test]
fn who_makes_a_model_enough_does_not_show() {
    let desk = Desk::new();
    let (woman, x) = ("p.gender_concept_id = 8532", "p.month_of_birth <= 6");
    // Until this day there are eleven persons of each sex and half of the year, and of one of these exactly eleven.
    let last = format!(
        "SELECT year_of_birth, month_of_birth, day_of_birth FROM
           (SELECT p.*, row_number() OVER (PARTITION BY {woman}, {x} ORDER BY p.birth_datetime) AS at FROM person p) p
         WHERE at = 11 ORDER BY birth_datetime DESC LIMIT 1"
    );
    let born = desk.numbers("steward", "", &last);
    let part = |at: usize| format!("{:02}", born[at].expect("a number"));
    let day = format!("timestamp '{}-{}-{}'", part(0), part(1), part(2));
    let model = |principal: &str, until: &str| {
        let sql = format!(
            "SELECT list_extract(logistic_regression({woman}, named_struct('x', {x})), -1)['std_err'] AS s
             FROM person p WHERE p.birth_datetime {until} {day}
             AND p.month_of_birth IS NOT NULL AND p.gender_concept_id IS NOT NULL"
        );
        desk.numbers("exact", principal, &sql)[0]
    };
    let (without, with) = ("<", "<=");
    let enough = model("enough", with);
    assert!(enough.is_some());
    assert_eq!(model("enough", without), enough);
    assert_eq!(model("few", without), None);
    assert_eq!(model("few", with), None);
}

/// Two outcomes, covariates of one column, and crude beside adjusted: each model is shown where the words of the queries say that
/// the persons are the same, and otherwise the later one is not.
#[test]
fn one_cohort_has_several_models() {
    let desk = Desk::new();
    let (woman, half) = ("p.gender_concept_id = 8532", "p.month_of_birth <= 6");
    let odd = "p.month_of_birth IN (1, 3, 5, 7, 9, 11)";
    let known = "p.gender_concept_id IS NOT NULL AND p.year_of_birth IS NOT NULL AND p.month_of_birth IS NOT NULL
                 AND o.starts IS NOT NULL AND o.ends IS NOT NULL";
    let sql = |what: &str, known: &str| {
        format!(
            "SELECT list_extract({what}, -1)['std_err'] AS s FROM person p
             JOIN (SELECT person_id, min(observation_period_start_date) AS starts, max(observation_period_end_date) AS ends
                   FROM observation_period GROUP BY person_id) o ON o.person_id = p.person_id WHERE {known}"
        )
    };
    let model = |principal: &str, what: &str, known: &str| {
        desk.numbers("exact", principal, &sql(what, known))[0]
    };
    let days = "person_time(o.starts, o.ends)";
    let models = [
        format!("logistic_regression({woman}, named_struct('half', {half}))"),
        format!("logistic_regression({woman}, named_struct('odd', {odd}))"),
        format!("logistic_regression({woman}, named_struct('half', {half}, 'odd', {odd}))"),
        format!("logistic_regression(p.year_of_birth > 1970, named_struct('half', {half}))"),
        format!("cox_ph({days}, {woman}, named_struct('half', {half}))"),
        format!("cox_ph({days}, p.year_of_birth > 1970, named_struct('half', {half}))"),
    ];
    for [first, second] in [
        [0, 1],
        [0, 2],
        [2, 0],
        [0, 3],
        [3, 0],
        [4, 5],
        [5, 4],
        [0, 4],
        [4, 0],
    ] {
        let principal = format!("{first}, {second}");
        for what in [&models[first], &models[second]] {
            assert!(
                model(&principal, what, known).is_some(),
                "{principal}: {what}"
            );
        }
    }
    let crude = format!("logistic_regression({woman}, named_struct('year', p.year_of_birth))");
    let refused = desk.ask("exact", "alone", &sql(&crude, "p.year_of_birth > 1900"));
    let add = "add p.gender_concept_id IS NOT NULL to WHERE";
    assert!(refused.fails(1, "[measure]").err.contains(add));
    let known = "p.gender_concept_id IS NOT NULL AND p.year_of_birth > 1900";
    assert!(model("alone", &crude, known).is_some());
    let adjusted = format!(
        "logistic_regression({woman}, named_struct('year', p.year_of_birth, 'half', {half}))"
    );
    let more = format!("{known} AND p.month_of_birth IS NOT NULL");
    assert_eq!(model("alone", &adjusted, &more), None);
}

/// Two covariates that read alike but for the tables that they are from: where the second model is not shown, for its words are of
/// other rows, it has not the first one's numbers.
#[test]
fn a_model_of_another_table_is_not_the_one_before() {
    let desk = Desk::new();
    let model = |principal: &str, of: &str, known: &str| {
        let sql = format!(
            "SELECT list_extract(logistic_regression(p.gender_concept_id = 8532, named_struct('x', least(coalesce({of}.n, 0), 1))), -1)['coefficient'] AS s
             FROM person p
             LEFT JOIN (SELECT person_id, count(*) AS n FROM person WHERE month_of_birth <= 6 GROUP BY person_id) a ON a.person_id = p.person_id
             LEFT JOIN (SELECT person_id, count(*) AS n FROM person WHERE year_of_birth > 1970 GROUP BY person_id) b ON b.person_id = p.person_id
             WHERE p.gender_concept_id IS NOT NULL {known}"
        );
        desk.numbers("exact", principal, &sql)[0]
    };
    let others = "AND p.year_of_birth > 0";
    assert!(model("one", "a", "").is_some());
    assert_eq!(model("one", "b", others), None);
    assert!(model("another", "b", others).is_some());
}

/// An outcome that reads like another one, and is another for few: whether its model is shown, and which, would tell of those few.
#[test]
fn outcomes_that_read_alike_are_told_apart() {
    let desk = Desk::new();
    let (few, woman) = ("p.year_of_birth = 1950", "p.gender_concept_id = 8532");
    let known = "p.gender_concept_id IS NOT NULL AND p.year_of_birth IS NOT NULL AND p.month_of_birth IS NOT NULL";
    let model = |principal: &str, outcome: &str, name: &str| {
        let sql = format!(
            "SELECT list_extract(logistic_regression({outcome}, named_struct('{name}', p.month_of_birth)), -1)['std_err'] AS s
             FROM person p WHERE {known}"
        );
        desk.numbers("exact", principal, &sql)[0]
    };
    let pairs = [
        // The engine writes both without the parentheses.
        (
            format!("({few} OR {woman}) IS FALSE"),
            format!("{few} OR ({woman} IS FALSE)"),
            "b",
        ),
        (
            woman.to_owned(),
            format!("{woman} OR {few}"),
            "\u{1f}event\u{1f}b",
        ),
    ];
    for (at, (first, second, name)) in pairs.iter().enumerate() {
        let principal = format!("alike {at}");
        assert!(model(&principal, first, "a").is_some(), "{first}");
        assert_eq!(model(&principal, second, name), None, "{second}");
        assert!(
            model(&format!("{second} alone"), second, name).is_some(),
            "{second}"
        );
    }
}

/// Where one person has a value that no statistic takes, or one row more, there is the answer of before: that there is none
/// would tell of it in a single question.
#[test]
fn one_person_empties_no_statistic() {
    let desk = Desk::new();
    let one = "SELECT person_id FROM measurement GROUP BY person_id HAVING count(*) > 3 ORDER BY person_id LIMIT 1";
    let person = desk.number("steward", one).expect("a person");
    let birthday = format!(
        "SELECT year_of_birth, month_of_birth, day_of_birth FROM person WHERE person_id = {person}"
    );
    let born = desk.numbers("steward", "", &birthday);
    let is: Vec<String> = ["year", "month", "day"]
        .iter()
        .zip(&born)
        .map(|(unit, number)| format!("p.{unit}_of_birth = {}", number.expect("a number")))
        .collect();
    let is = is.join(" AND ");
    let nan = "CAST('NaN' AS DOUBLE)";
    let first = "measurement v JOIN (SELECT person_id, min(measurement_id) AS f FROM measurement GROUP BY person_id) m
        ON m.person_id = v.person_id JOIN person p ON p.person_id = v.person_id";
    let days = "days_between(p.birth_datetime, v.measurement_date)";
    let ill = "p.gender_concept_id = 8532";
    let models = "named_struct('born', p.year_of_birth)";
    let event = |other: &str| format!("CASE WHEN {is} THEN {other} WHEN {ill} THEN 1 ELSE 0 END");
    let known = "p.birth_datetime IS NOT NULL AND p.year_of_birth IS NOT NULL AND p.gender_concept_id IS NOT NULL
        AND v.measurement_date IS NOT NULL";
    let rows = "v.measurement_id = m.f";
    let more = format!("{rows} OR ({is})");
    let mut asked = Vec::new();
    for other in ["7", nan, "0.5"] {
        let event = event(other);
        for what in [
            format!("logistic_regression({event}, {models})"),
            format!("cox_ph({days}, {event}, {models})"),
            format!("kaplan_meier({days}, {event})"),
            format!("median_survival({days}, {event})"),
        ] {
            asked.push((what, rows));
        }
    }
    for what in [
        format!("logistic_regression({ill}, {models})"),
        format!("cox_ph({days}, {ill}, {models})"),
        format!("kaplan_meier({days}, {ill})"),
        format!("median_survival({days}, {ill})"),
        format!("logrank_test({days}, {ill}, p.year_of_birth > 1970)"),
        "count(*)".to_owned(),
        format!("avg({days})"),
    ] {
        asked.push((what, more.as_str()));
    }
    for (what, rows) in asked {
        let sql = format!("SELECT {what} AS s FROM {first} WHERE ({rows}) AND {known}");
        for role in ["exact", "rounded"] {
            let out = desk.ask(role, &format!("{role} {sql}"), &sql).ok();
            let answer = out.lines().nth(1).unwrap_or_default().trim_matches('"');
            assert!(!answer.is_empty(), "{role}: {sql}");
        }
    }
}

/// Of strata of which one number is withheld there is no rate: without them it would be another population's.
#[test]
fn what_is_withheld_is_not_left_out_of_what_follows() {
    let desk = Desk::new();
    let of = |events: &str| {
        format!(
            "SELECT standardized_rate(events, persons, 1, band, per => 1)['estimate'] AS s, sum(persons) AS n
             FROM (SELECT year_of_birth // 40 AS band, count(*) FILTER (WHERE {events}) AS events, count(*) AS persons FROM person GROUP BY 1) g
             WHERE band IN (48, 49)"
        )
    };
    let whole = desk.numbers("exact", "whole", &of("gender_concept_id = 8532"));
    assert!(
        whole[0].is_some_and(|rate| (0.3..0.7).contains(&rate)),
        "{whole:?}"
    );
    // Born before 1960 are those of the first band alone.
    let part = desk.numbers("exact", "part", &of("year_of_birth < 1960"));
    assert_eq!(part[0], None, "{part:?}");
    assert_eq!(part[1], whole[1]);
}

#[test]
fn what_is_refused_says_what_to_do_instead() {
    let desk = Desk::new();
    for (what, rule, instead) in [
        ("odds_ratio(person_id = 7, ill)", "person-key", "count it"),
        ("rate_ratio(ill, days, born)", "", ""),
        ("smd(born, woman, weights => born)", "statistic", "GROUP BY"),
        // A literal is a value of every row: by one of these the standard error would be none, and the coefficient exact.
        (
            "cox_ph(days, ill, named_struct('born', born), weights => 1e12)",
            "statistic",
            "GROUP BY",
        ),
        (
            "cox_ph(days, ill, named_struct('born', born), cluster => 1)",
            "statistic",
            "GROUP BY",
        ),
        (
            "logistic_regression(ill, named_struct('born', born), weights => 1000000)",
            "statistic",
            "GROUP BY",
        ),
        (
            "logistic_regression(ill, named_struct('born', born), offset => 1)",
            "statistic",
            "GROUP BY",
        ),
        (
            "cox_ph(days, ill, named_struct('born', born), offset => 1)",
            "statistic",
            "GROUP BY",
        ),
        (
            "rmst_difference(days, ill, woman, 100, weights => 1000)",
            "statistic",
            "GROUP BY",
        ),
        (
            "rmst_difference(days, ill, woman, 100, start => 0)",
            "statistic",
            "GROUP BY",
        ),
        (
            "odds_ratio(woman, ill, weights => 1000)",
            "statistic",
            "GROUP BY",
        ),
        ("smd(born, woman, weights => 3)", "statistic", "GROUP BY"),
        (
            "logrank_test(days, ill, woman, strata => born)",
            "statistic",
            "GROUP BY",
        ),
        ("rmst(days, ill, born)", "statistic", "literals"),
        (
            "logrank_test(days, ill, CASE WHEN woman THEN 'w' ELSE 'm' END)",
            "statistic",
            "a condition, such as arm = 'A'",
        ),
        (
            "concordance_index(days, ill, born)",
            "function",
            "docs/disclosure.md",
        ),
        (
            "smd(CASE WHEN born = 1950 THEN born ELSE 0 END, woman)",
            "measure",
            "FILTER",
        ),
        (
            "incidence_rate(ill, 1 // (born - 1950))",
            "measure",
            "FILTER",
        ),
        // A cap on a cap says who is above.
        (
            "incidence_rate(ill, least(greatest(days, 9000), 9001))",
            "measure",
            "FILTER",
        ),
    ] {
        let sql = format!("SELECT {what} AS s FROM {ONSET}");
        let ran = desk.ask("exact", "eve", &sql);
        if rule.is_empty() {
            // A number is a group where it is 1 or 0: nobody.
            assert_eq!(
                ran.ok()
                    .lines()
                    .nth(1)
                    .unwrap_or_default()
                    .trim_matches('"'),
                ""
            );
            continue;
        }
        let ran = ran.fails(1, &format!("[{rule}]"));
        assert!(ran.err.contains(instead), "{what}: {}", ran.err);
        // Of which part it is said: of the numbers that a time is refused for, not of the statement.
        if what.starts_with("incidence_rate") {
            assert!(ran.err.contains("1:"), "{}", ran.err);
            assert!(!ran.err.contains("-c:1:1\n"), "{}", ran.err);
        }
    }
}

/// What has no release of its own is computed from groups that were counted: exactly so where all of them are listed.
#[test]
fn other_statistics_are_computed_over_released_groups() {
    let desk = Desk::new();
    let pooled = "SELECT round(mh['odds_ratio'], 9), round(mh['p_value'], 9) FROM (SELECT mantel_haenszel(old, ill, woman) AS mh FROM ";
    let persons = "(SELECT born < 1980 AS old, ill, woman FROM {ONSET})".replace("{ONSET}", ONSET);
    let direct = format!("{pooled}{persons})");
    let grouped = format!(
        "{pooled}(SELECT old, ill, woman, unnest(range(0, n)) AS row FROM (SELECT old, ill, woman, count(*) AS n FROM {persons} \
         GROUP BY old, ill, woman)))"
    );
    let steward = desk.numbers("steward", "", &direct);
    assert_eq!(desk.numbers("steward", "", &grouped), steward);
    assert!(steward.iter().all(Option::is_some), "{steward:?}");
    let listed = desk.ask(
        "exact",
        "eve",
        &format!("SELECT old, ill, woman, count(*) AS n FROM {persons} GROUP BY old, ill, woman"),
    );
    assert_eq!(
        listed.ok().lines().count(),
        1 + 8,
        "all eight groups are large enough"
    );
    assert_eq!(desk.numbers("exact", "eve", &grouped), steward);
    let refused = desk
        .ask("exact", "eve", &direct)
        .fails(1, "mantel_haenszel");
    assert!(
        refused.err.contains("count groups in a subquery"),
        "{}",
        refused.err
    );
}
