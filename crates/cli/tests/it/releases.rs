//! Roles that see numbers about groups only, through the binary, on an OMOP store: what an honest analyst asks, what is
//! refused, and budgets under `kill -9`.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::desk::Desk;
use crate::support::{columna, ran};

#[test]
fn an_analyst_of_groups_can_work() {
    let desk = Desk::new();
    let by_sex = desk.rows(
        "counter",
        "SELECT gender_concept_id, count(*) AS n FROM person GROUP BY gender_concept_id ORDER BY 1",
    );
    assert_eq!(by_sex.len(), 2, "{by_sex:?}");
    assert!(
        by_sex
            .iter()
            .all(|row| row.ends_with('0') || row.ends_with('5')),
        "{by_sex:?}"
    );
    let ran = desk.ask(
        "counter",
        "SELECT c.concept_name AS condition, count(DISTINCT o.person_id) AS persons
         FROM condition_occurrence o JOIN concept c ON c.concept_id = o.condition_concept_id
         GROUP BY condition ORDER BY persons DESC LIMIT 5",
    );
    assert!(
        ran.err.contains("disclosure control `opensafely`"),
        "{}",
        ran.err
    );
    assert_eq!(ran.ok().lines().count(), 6);
    // A survival curve, from rounded counts.
    let curve = desk.rows(
        "counter",
        "SELECT r.time AS time, r.n_risk AS n_risk, r.n_event AS n_event, r.survival AS survival FROM (
           SELECT unnest(kaplan_meier(days_between(p.birth_datetime, coalesce(d.death_date, date '2024-01-01')),
                                      d.person_id IS NOT NULL)) AS r
           FROM person p LEFT JOIN death d ON d.person_id = p.person_id)",
    );
    assert!(!curve.is_empty());
    for row in &curve {
        let numbers: Vec<f64> = row
            .split(',')
            .map(|n| n.parse().expect("a number"))
            .collect();
        assert!(numbers[1] % 5.0 == 0.0 && numbers[2] % 5.0 == 0.0, "{row}");
    }
    // A regression of stored columns, with enough persons on both sides of each.
    let model = desk.rows(
        "counter",
        "SELECT t.term AS term, t.coefficient AS coefficient, t.odds_ratio AS odds_ratio FROM (
           SELECT unnest(logistic_regression(CASE WHEN gender_concept_id = 8532 THEN 1 ELSE 0 END,
                                             named_struct('year', year_of_birth))) AS t
           FROM person WHERE year_of_birth IS NOT NULL)",
    );
    assert!(
        model.iter().any(|row| row.starts_with("year,")),
        "{model:?}"
    );
    let cohort = desk.rows(
        "counter",
        "WITH first AS (SELECT person_id, min(condition_start_date) AS day FROM condition_occurrence GROUP BY person_id)
         SELECT count(*) AS persons, avg(days_between(f.day, v.visit_start_date)) AS days
         FROM first f JOIN visit_occurrence v ON v.person_id = f.person_id AND v.visit_start_date >= f.day",
    );
    assert_eq!(cohort.len(), 1);
    // Conditions of Charlson's index, by a table function that reads the vocabulary.
    let conditions = desk.rows(
        "counter",
        "SELECT k.condition AS condition, count(DISTINCT o.person_id) AS persons
         FROM condition_occurrence o JOIN comorbidity_concepts('charlson') k ON k.concept_id = o.condition_concept_id
         GROUP BY condition",
    );
    assert!(
        conditions
            .iter()
            .any(|row| row.starts_with("diabetes without")),
        "{conditions:?}"
    );
    assert!(!desk.rows("counter", "SHOW TABLES").is_empty());
}

#[test]
fn attacks_17_to_32_on_an_omop_store() {
    let desk = Desk::new();
    for (sql, says) in [
        ("SELECT count(*) FROM person WHERE person_id = 7", "person"),
        ("SELECT count(*) FROM person WHERE person_id <> 7", "person"),
        (
            "SELECT sum(CASE WHEN person_id = 7 THEN 1 ELSE 0 END) FROM person",
            "person",
        ),
        (
            "SELECT count(*) FILTER (WHERE person_id = 7) FROM person",
            "person",
        ),
        ("SELECT sum(power(1000, person_id)) FROM person", "measure"),
        ("SELECT max(year_of_birth) FROM person", "single person"),
        (
            "SELECT array_agg(year_of_birth) FROM person",
            "single person",
        ),
        ("SELECT row_number() OVER () FROM person", "window"),
        (
            "SELECT count(*) FROM person CROSS JOIN (VALUES (1), (2)) AS v(x)",
            "repeat",
        ),
        (
            "SELECT c.concept_name, count(*) FROM concept c LEFT JOIN person p ON p.race_concept_id = c.concept_id GROUP BY 1",
            "without a person",
        ),
        (
            "SELECT person_id, count(*) FROM person GROUP BY person_id",
            "no person's rows",
        ),
        (
            "SELECT corr(year_of_birth, month_of_birth) FROM person",
            "corr",
        ),
        ("SELECT * FROM person", "no person's rows"),
        (
            "SELECT logistic_regression(CASE WHEN gender_concept_id = 8532 THEN 1 ELSE 0 END,
               named_struct('x', CASE WHEN year_of_birth = 1950 AND month_of_birth = 3 THEN 1 ELSE 0 END)) FROM person",
            "a term could be made for a single person",
        ),
        (
            "SELECT cox_ph(year_of_birth, true, named_struct('x', month_of_birth), weights => day_of_birth) FROM person",
            "no strata, weights",
        ),
    ] {
        let ran = desk.ask("counter", sql).fails(1, says);
        assert!(ran.err.contains("hint"), "what to do instead: {}", ran.err);
        assert!(ran.out.is_empty(), "{}", ran.out);
    }
    let all = desk.rows("counter", "SELECT count(*) FROM person");
    // One birthday less, whoever has it: the same answer.
    let less = "SELECT count(*) FROM person WHERE NOT (year_of_birth = 1950 AND month_of_birth = 3 AND day_of_birth = 4)";
    assert_eq!(desk.rows("counter", less), all);
    for sql in [
        "SELECT year_of_birth * 10000 + month_of_birth * 100 + day_of_birth, count(*) FROM person GROUP BY 1",
        "SELECT gender_concept_id FROM person GROUP BY 1 HAVING count(*) = 1",
    ] {
        assert!(desk.rows("counter", sql).is_empty(), "{sql}");
    }
    let cube = desk.rows(
        "counter",
        "SELECT gender_concept_id, race_concept_id, count(*) AS n FROM person GROUP BY CUBE (gender_concept_id, race_concept_id)",
    );
    let numbers: Vec<u64> = cube
        .iter()
        .filter_map(|row| row.rsplit(',').next()?.parse().ok())
        .collect();
    assert!(
        !numbers.is_empty() && numbers.iter().all(|n| n % 5 == 0 && *n >= 10),
        "{cube:?}"
    );
}

/// Whoever is left out, one of the dead or of the living: the curve of before, to the last step.
#[test]
fn a_curve_without_one_person_is_the_curve_of_before() {
    let persons = |dead: &str| {
        let sql = format!(
            "SELECT year_of_birth, month_of_birth, day_of_birth FROM person p LEFT JOIN death d ON d.person_id = p.person_id
             WHERE d.person_id IS {dead} ORDER BY p.person_id LIMIT 2"
        );
        let store = crate::support::store();
        columna(&["sql", "--store", &store, "--format", "csv", "-c", &sql]).ok()
    };
    let desk = Desk::new();
    let curve = |but: &str| {
        desk.rows(
            "counter",
            &format!(
                "SELECT r.time AS time, r.n_risk AS n_risk, r.n_event AS n_event FROM (
                   SELECT unnest(kaplan_meier(days_between(p.birth_datetime, coalesce(d.death_date, date '2024-01-01')),
                                              d.person_id IS NOT NULL)) AS r
                   FROM person p LEFT JOIN death d ON d.person_id = p.person_id WHERE NOT ({but}))"
            ),
        )
    };
    let all = curve("false");
    assert!(!all.is_empty());
    for dead in ["NULL", "NOT NULL"] {
        for birth in persons(dead).lines().skip(1) {
            let parts: Vec<&str> = birth.split(',').collect();
            let but = format!(
                "p.year_of_birth = {} AND p.month_of_birth = {} AND p.day_of_birth = {}",
                parts[0], parts[1], parts[2]
            );
            assert_eq!(curve(&but), all, "death {dead}: {but}");
        }
    }
    // Many persons less are another curve, or none.
    assert_ne!(curve("p.gender_concept_id = 8532"), all);
}

#[test]
fn the_drawn_limit_of_memory_is_not_told() {
    let desk = Desk::new();
    let told = |name: &str| {
        let show = format!("SHOW {name}");
        let mut asking = desk.asking("counter", &show);
        ran(asking.args(["--memory-limit", "512MB"])).ok()
    };
    let limit = told("datafusion.runtime.memory_limit");
    assert!(!limit.contains(|c: char| c.is_ascii_digit()), "{limit}");
    // A part of what was asked for, and not of what was drawn.
    let merges = told("datafusion.execution.sort_spill_reservation_bytes");
    assert_eq!(
        merges,
        told("datafusion.execution.sort_spill_reservation_bytes")
    );
}

#[test]
fn a_budget_is_spent_shown_granted_and_frozen() {
    let desk = Desk::new();
    let question = "SELECT count(*) AS n FROM person";
    let first = desk.ask("noisy", question);
    for says in ["noise", "±", "spent: rho", "left"] {
        assert!(first.err.contains(says), "`{says}` is not in {}", first.err);
    }
    let answer = first.ok();
    let again = desk.ask("noisy", "select COUNT(*) as m from person");
    assert!(again.err.contains("free of charge"), "{}", again.err);
    assert_eq!(again.ok().lines().nth(1), answer.lines().nth(1));
    let (one, questions, answered) = desk.spent();
    assert!(one > 0.0 && (questions, answered) == (1, 1));
    // What fails on an answer is paid, and says so.
    let failed = "SELECT CAST('no number ' || n AS INT) FROM (SELECT count(*) AS n FROM person WHERE year_of_birth > 0)";
    desk.ask("noisy", failed).fails(1, "spent: rho");
    // Declared keys are all there.
    let groups = desk.rows(
        "noisy",
        "SELECT gender_concept_id, count(*), avg(year_of_birth) FROM person GROUP BY 1",
    );
    assert_eq!(groups.len(), 2);
    desk.ask("noisy", "SELECT avg(month_of_birth) FROM person")
        .fails(1, "no bounds are declared");
    // Until nothing is left.
    let mut asked = 0;
    let ran = loop {
        let ran = desk.ask(
            "noisy",
            &format!(
                "SELECT count(*) FROM person WHERE year_of_birth > {}",
                1930 + asked
            ),
        );
        if ran.code != 0 {
            break ran;
        }
        asked += 1;
        assert!(asked < 200, "the budget never ends");
    };
    ran.fails(1, "columna privacy ledger grant");
    let (spent, ..) = desk.spent();
    assert!(desk.ledger(&["show", "--charges"]).ok().contains("ana"));
    desk.ledger(&["grant", "--principal", "ana", "--epsilon", "1.0"])
        .ok();
    let next = format!(
        "SELECT count(*) FROM person WHERE year_of_birth > {}",
        1930 + asked
    );
    desk.ask("noisy", &next).ok();
    assert!(desk.spent().0 > spent);
    desk.ledger(&["freeze", "--principal", "ana"]).ok();
    desk.ask("noisy", question).fails(1, "frozen");
    desk.ledger(&["freeze", "--principal", "ana", "--off"]).ok();
    assert_eq!(
        desk.ask("noisy", question).ok().lines().nth(1),
        answer.lines().nth(1)
    );
    let log = std::fs::read_to_string(Path::new(&desk.state()).join("audit.jsonl")).expect("a log");
    for change in ["granted rho", "\"frozen\"", "\"released\""] {
        let line = log.lines().find(|line| line.contains(change));
        assert!(
            line.is_some_and(|line| line.contains("\"account\":\"ana\"")),
            "{change}"
        );
    }
    columna(&["privacy", "audit", "verify", "--state", &desk.state()]).ok();
    desk.ledger(&["grant", "--principal", "nobody", "--rho", "1"])
        .fails(1, "no such account");
    desk.ledger(&["grant", "--principal", "ana", "--rho=-1"])
        .fails(2, "--rho");
}

/// Attack 35 through the binary: killed at many moments between start and answer, a question is charged once, its charge
/// stays, and asking again costs nothing more.
#[cfg(unix)]
#[test]
fn attack_35_killed_around_the_ledger() {
    let desk = Desk::new();
    let question = |n: u32| {
        format!(
            "SELECT count(*) FROM person WHERE year_of_birth > {}",
            1930 + n
        )
    };
    // How long a question takes.
    let started = Instant::now();
    desk.ask("noisy", &question(0)).ok();
    let whole = started.elapsed();
    let (price, ..) = desk.spent();
    let mut before = desk.spent();
    let mut killed_between = 0;
    for n in 1..=14_u32 {
        let mut child = desk
            .asking("noisy", &question(n))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary runs");
        std::thread::sleep(whole * (n - 1) / 12);
        let _ = child.kill();
        let _ = child.wait();
        let now = desk.spent();
        assert!(
            now.0 >= before.0 - 1e-12,
            "budget came back: {before:?} {now:?}"
        );
        assert!(now.1 <= before.1 + 1 && now.2 <= now.1);
        assert!(
            (now.0 - price * now.1 as f64).abs() < 1e-9,
            "each question is paid once"
        );
        killed_between += now.1 - now.2;
        before = now;
    }
    // Asked again, each question is answered, on the charge that was paid where there is one.
    let answers: Vec<Vec<String>> = (0..=14).map(|n| desk.rows("noisy", &question(n))).collect();
    let (spent, questions, answered) = desk.spent();
    assert_eq!((questions, answered), (15, 15));
    assert!((spent - 15.0 * price).abs() < 1e-9);
    // And alike from then on.
    for (n, answer) in (0..=14).zip(&answers) {
        assert_eq!(desk.rows("noisy", &question(n)), *answer);
    }
    assert!((desk.spent().0 - spent).abs() < 1e-12);
    // How many kills fell between charge and answer depends on the machine; none would prove little.
    let _ = killed_between;
}

/// Many processes at once: a question is paid once, and everybody gets the same answer.
#[test]
fn attack_35_asked_at_once() {
    let desk = Desk::new();
    let sql = "SELECT count(*) FROM person";
    let children: Vec<_> = (0..6)
        .map(|_| {
            desk.asking("noisy", sql)
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .expect("the binary runs")
        })
        .collect();
    let started = Instant::now();
    let answers: std::collections::BTreeSet<Vec<u8>> = children
        .into_iter()
        .map(|child| {
            let output = child.wait_with_output().expect("it ends");
            assert!(
                output.status.success(),
                "{}",
                String::from_utf8_lossy(&output.stderr)
            );
            output.stdout
        })
        .collect();
    assert!(started.elapsed() < Duration::from_secs(120));
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(desk.spent().1, 1);
}

/// A group of one person and a group of nobody: the same in all that is said, by exit code and on both outputs.
#[test]
fn one_person_and_nobody_look_alike() {
    let desk = Desk::new();
    let births = columna(&[
        "sql", "--store", &crate::support::store(), "--format", "csv", "-c",
        "SELECT year_of_birth, month_of_birth, day_of_birth FROM person GROUP BY 1, 2, 3 HAVING count(*) = 1 ORDER BY 1 LIMIT 1",
    ])
    .ok();
    let born: Vec<&str> = births
        .lines()
        .nth(1)
        .expect("somebody")
        .split(',')
        .collect();
    let ask = |role: &str, table: &str, year: &str| {
        let sql = format!(
            "SELECT count(*), count(*) FILTER (WHERE gender_concept_id = 8532) FROM {table} WHERE year_of_birth = {year} \
             AND month_of_birth = {} AND day_of_birth = {}",
            born[1], born[2]
        );
        let ran = desk.ask(role, &sql);
        (ran.code, ran.out, ran.err)
    };
    let one = ask("counter", "person", born[0]);
    assert_eq!(one.0, 0, "{}", one.2);
    assert_eq!(one, ask("counter", "person", "1700"));
}
