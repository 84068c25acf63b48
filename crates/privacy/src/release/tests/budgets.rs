//! Attacks 33 to 43 by SQL, and what the noise is.
//!
//! Tests of distributions draw from the operating system's generator, so they may fail by chance; each states how
//! rarely.

use std::collections::BTreeMap;
use std::path::Path;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch};
use datafusion::common::ScalarValue;
use std::sync::Arc;

use super::desk::{Desk, emr};
use crate::ledger::Ledger;
use crate::release::Rules;

/// A budget so large that noise is small, for tests of everything else.
fn generous() -> Rules {
    Rules {
        epsilon: 10_000.0,
        delta: 1e-6,
        epsilon_per_query: 50.0,
        max_groups: 4,
        max_rows: 2,
        keys: BTreeMap::new(),
    }
}

fn strict() -> Rules {
    Rules {
        epsilon: 1.0,
        delta: 1e-6,
        epsilon_per_query: 0.25,
        ..generous()
    }
}

fn desk(rules: Rules, folder: &Path) -> Desk {
    Desk::with_budget(rules, emr(), folder)
}

fn number(rows: &[String]) -> f64 {
    rows[0].parse().unwrap()
}

#[tokio::test]
async fn honest_questions_are_answered() {
    let folder = tempfile::tempdir().unwrap();
    let desk = desk(generous(), folder.path());
    // At ε = 50 the noise of a count of persons has σ below 1; ten are allowed (2e-23).
    let close = |shown: f64, exact: f64, off: f64| {
        assert!((shown - exact).abs() <= off, "{shown} is not {exact}");
    };
    close(
        number(&desk.ask("SELECT count(DISTINCT pid) FROM emr").await),
        400.0,
        10.0,
    );
    close(
        number(&desk.ask("SELECT count(*) FROM emr WHERE died").await),
        100.0,
        20.0,
    );
    close(
        number(&desk.ask("SELECT avg(age) FROM emr").await),
        54.5,
        3.0,
    );
    close(
        number(&desk.ask("SELECT sum(los) FROM emr").await),
        6200.0,
        600.0,
    );
    close(
        number(&desk.ask("SELECT median(age) FROM emr").await),
        54.5,
        8.0,
    );
    close(
        number(
            &desk
                .ask("SELECT approx_percentile_cont(0.9) WITHIN GROUP (ORDER BY age) FROM emr")
                .await,
        ),
        82.0,
        8.0,
    );
    // A histogram, by a key that is not declared.
    let bands = desk
        .ask("SELECT age / 20, count(DISTINCT pid) FROM emr GROUP BY 1 ORDER BY 1")
        .await;
    assert_eq!(bands.len(), 4, "{bands:?}");
    let notes = desk.notes.take().join("\n");
    assert!(
        notes.contains("spent: rho") && notes.contains('±'),
        "{notes}"
    );
}

#[tokio::test]
async fn attack_33_values_are_clamped_after_the_expression() {
    let folder = tempfile::tempdir().unwrap();
    // One stay of a million days among a hundred of 10.
    let stays: Vec<i64> = (0..100)
        .map(|at| if at == 0 { 1_000_000 } else { 10 })
        .collect();
    let batch = RecordBatch::try_from_iter([
        (
            "pid",
            Arc::new(Int64Array::from_iter_values(0..100)) as ArrayRef,
        ),
        ("los", Arc::new(Int64Array::from(stays)) as ArrayRef),
    ])
    .unwrap();
    let desk = Desk::with_budget(generous(), batch, folder.path());
    // Clamped to 30 · 1000, whatever is computed from it: 99 · 10000 + 30000.
    let sum = number(&desk.ask("SELECT sum(los * 1000) FROM emr").await);
    assert!((sum - 1_020_000.0).abs() < 400_000.0, "{sum}");
    let sum = number(
        &desk
            .ask("SELECT sum(x) FROM (SELECT los * los AS x FROM emr)")
            .await,
    );
    assert!((sum - 10_800.0).abs() < 9_000.0, "{sum}");
}

#[tokio::test]
async fn attack_34_a_column_without_bounds_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let desk = desk(generous(), folder.path());
    for sql in [
        "SELECT sum(cost) FROM emr",
        "SELECT avg(cost + age) FROM emr",
        "SELECT median(cost) FROM emr",
        "SELECT avg(age / los) FROM emr",
        "SELECT sum(7) FROM emr",
        "SELECT sum(n) FROM (SELECT pid, count(*) AS n FROM visit GROUP BY pid)",
        "SELECT sum(age * 1e300) FROM emr",
        "SELECT sum(least(cost, 100)) FROM emr",
        "SELECT avg(CASE WHEN age > 40 THEN cost ELSE 0 END) FROM emr",
        "SELECT avg(least(greatest(cost, 0), 100) / least(greatest(cost, 0), 100)) FROM emr",
    ] {
        assert_eq!(desk.refused(sql).await, "dp-bounds", "{sql}");
    }
    for sql in [
        "SELECT max(age) FROM emr",
        "SELECT stddev(age) FROM emr",
        "SELECT array_agg(age) FROM emr",
        "SELECT count(DISTINCT dx) FROM emr",
    ] {
        assert_eq!(desk.refused(sql).await, "dp-function", "{sql}");
    }
    assert_eq!(
        desk.refused("SELECT sex, count(*) FROM emr GROUP BY ROLLUP (sex)")
            .await,
        "dp-shape"
    );
    assert_eq!(desk.refused("SELECT * FROM emr").await, "rows");
    // Nothing of this was charged.
    let ledger = Ledger::open(&folder.path().join("ledger.sqlite")).unwrap();
    assert!(ledger.accounts().unwrap().is_empty());
    // Sibling.
    assert_eq!(
        desk.ask(
            "SELECT avg(longest) FROM (SELECT pid, max(days) AS longest FROM visit GROUP BY pid)"
        )
        .await
        .len(),
        1
    );
}

/// Bounds that a question gives by itself, and those of conditions counted: values are clamped to them like to declared ones.
#[tokio::test]
async fn a_question_can_give_its_own_bounds() {
    let folder = tempfile::tempdir().unwrap();
    let desk = desk(generous(), folder.path());
    for (sql, low, high) in [
        (
            "SELECT avg(least(greatest(cost, 0), 100)) FROM emr",
            0.0,
            100.0,
        ),
        // Of any number, whatever makes it.
        (
            "SELECT avg(least(greatest(date_part('month', admitted), 2), 9)) FROM emr",
            2.0,
            9.0,
        ),
        (
            "SELECT avg(least(greatest(cost / (age - 40), 0), 10)) FROM emr",
            0.0,
            10.0,
        ),
        (
            "SELECT avg(CASE WHEN cost > 100 THEN 1 ELSE 0 END) FROM emr",
            0.0,
            1.0,
        ),
        (
            "SELECT avg(CASE WHEN cost > 100 THEN age WHEN age > 3 THEN 20 END) FROM emr",
            0.0,
            120.0,
        ),
        ("SELECT avg(coalesce(age, 40)) FROM emr", 0.0, 120.0),
        (
            "SELECT avg(round(least(greatest(cost, 0), 100.5))) FROM emr",
            0.0,
            101.0,
        ),
        (
            "SELECT avg(least(n, 20)) FROM (SELECT pid, least(greatest(count(*), 0), 50) AS n FROM visit GROUP BY pid)",
            0.0,
            20.0,
        ),
    ] {
        let answer = desk.ask(sql).await;
        let value: f64 = answer[0].parse().unwrap();
        let slack = (high - low) * 0.2;
        assert!(
            value > low - slack && value < high + slack,
            "{sql}: {value}"
        );
    }
}

#[tokio::test]
async fn attack_35_the_same_question_again() {
    let folder = tempfile::tempdir().unwrap();
    let desk = desk(strict(), folder.path());
    let first = desk.ask("SELECT count(*) AS n FROM emr").await;
    for sql in [
        "SELECT count(*) AS n FROM emr",
        "select  count(*)   as other_name from emr",
        "SELECT count(1) FROM emr",
    ] {
        for _ in 0..20 {
            assert_eq!(desk.ask(sql).await, first, "{sql}");
        }
    }
    let ledger = Ledger::open(&folder.path().join("ledger.sqlite")).unwrap();
    assert_eq!(ledger.accounts().unwrap()[0].charges.len(), 1);
    assert!(
        desk.notes
            .take()
            .iter()
            .any(|note| note.contains("free of charge"))
    );
    // Other questions spend the budget, and then there is none.
    let mut asked = 1;
    let refused = loop {
        let sql = format!("SELECT count(*) FROM emr WHERE age > {asked}");
        match desk.try_ask(&sql).await {
            Ok(_) => asked += 1,
            Err(error) => break error,
        }
        assert!(asked < 1000, "the budget never ends");
    };
    assert!(
        refused.to_string().contains("columna privacy ledger grant"),
        "{refused}"
    );
    // What was answered stays free, also in another session.
    assert_eq!(desk.ask("SELECT count(*) FROM emr").await, first);
    let later = Desk::with_budget(strict(), emr(), folder.path());
    assert_eq!(later.ask("SELECT count(*) FROM emr").await, first);
    assert_eq!(
        later
            .refused("SELECT count(*) FROM emr WHERE los > 3")
            .await,
        "budget"
    );
}

/// What a plan's words leave out makes another question.
#[tokio::test]
async fn attack_35_another_question_of_the_same_words() {
    let folder = tempfile::tempdir().unwrap();
    let desk = desk(generous(), folder.path());
    let values = |last: i64| {
        format!(
            "SELECT count(DISTINCT pid) FROM emr JOIN (VALUES (91), (92), (93), (94), (95), ({last})) AS v(x) ON v.x = emr.age"
        )
    };
    let rows = |kind: &str| {
        format!(
            "SELECT count(DISTINCT pid) FROM (SELECT pid, count(*) FILTER (WHERE kind = '{kind}') AS n FROM visit GROUP BY pid) WHERE n > 0"
        )
    };
    for [first, second] in [[values(50), values(19)], [rows("in"), rows("neither")]] {
        assert!(number(&desk.ask(&first).await) > 1.0, "{first}");
        desk.notes.take();
        assert!(number(&desk.ask(&second).await) < 20.0, "{second}");
        let notes = desk.notes.take();
        assert!(
            !notes.iter().any(|note| note.contains("free of charge")),
            "{second}"
        );
    }
}

#[tokio::test]
async fn attack_35_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let desks: Vec<Desk> = (0..4).map(|_| desk(strict(), folder.path())).collect();
    let asked = futures::future::join_all(
        desks
            .iter()
            .map(|desk| desk.ask("SELECT count(*) FROM emr")),
    )
    .await;
    assert!(asked.windows(2).all(|pair| pair[0] == pair[1]), "{asked:?}");
    let ledger = Ledger::open(&folder.path().join("ledger.sqlite")).unwrap();
    assert_eq!(ledger.accounts().unwrap()[0].charges.len(), 1);
}

#[tokio::test]
async fn attack_36_numbers_that_are_none() {
    let folder = tempfile::tempdir().unwrap();
    let mut ages = vec![Some(50.0); 200];
    ages[0] = Some(f64::NAN);
    ages[1] = Some(f64::INFINITY);
    ages[2] = Some(f64::NEG_INFINITY);
    ages[3] = Some(-0.0);
    ages[4] = Some(9_007_199_254_740_993.0);
    ages[5] = None;
    let batch = RecordBatch::try_from_iter([
        (
            "pid",
            Arc::new(Int64Array::from_iter_values(0..200)) as ArrayRef,
        ),
        ("age", Arc::new(Float64Array::from(ages)) as ArrayRef),
        (
            "los",
            Arc::new(Int64Array::from(vec![i64::MAX; 200])) as ArrayRef,
        ),
    ])
    .unwrap();
    let desk = Desk::with_budget(generous(), batch, folder.path());
    // 194 of 50, one of 0, one of 100: the others count for nothing.
    let sum = number(&desk.ask("SELECT sum(age) FROM emr").await);
    assert!((sum - 9_800.0).abs() < 1_500.0, "{sum}");
    // Clamped to 30 each, where a sum of whole numbers would have overflown.
    let sum = number(&desk.ask("SELECT sum(los) FROM emr").await);
    assert!((sum - 6_000.0).abs() < 500.0, "{sum}");
}

#[tokio::test]
async fn attack_37_one_person_with_many_rows_or_in_many_groups() {
    let folder = tempfile::tempdir().unwrap();
    let desk = desk(generous(), folder.path());
    // Person 5 has 1002 visits and counts with two, like everybody.
    let rows = number(&desk.ask("SELECT count(*) FROM visit").await);
    assert!((rows - 800.0).abs() < 30.0, "{rows}");
    // A person in ten thousand groups is in four of them.
    let pids: Vec<i64> = (0..50).chain(std::iter::repeat_n(0, 10_000)).collect();
    let kinds: Vec<i64> = (0..50).map(|_| -1).chain(0..10_000).collect();
    let batch = RecordBatch::try_from_iter([
        ("pid", Arc::new(Int64Array::from(pids)) as ArrayRef),
        ("kind", Arc::new(Int64Array::from(kinds)) as ArrayRef),
    ])
    .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut rules = generous();
    rules.keys.insert(
        ("emr".into(), "kind".into()),
        (0..10_000)
            .map(|kind| ScalarValue::Int64(Some(kind)))
            .collect(),
    );
    let desk = Desk::with_budget(rules, batch, folder.path());
    let total = desk
        .ask("SELECT sum(n) FROM (SELECT kind, count(*) AS n FROM emr GROUP BY kind)")
        .await;
    // 10,000 independent noises of σ < 2 add up to σ < 200; without a bound the sum would be 10,000.
    assert!(number(&total).abs() < 2_000.0, "{total:?}");
}

#[tokio::test]
async fn attack_38_the_person_lost_on_the_way() {
    let folder = tempfile::tempdir().unwrap();
    let desk = desk(generous(), folder.path());
    // Not selected, renamed, joined, grouped: each person still counts with two rows.
    for sql in [
        "SELECT count(*) FROM (SELECT days FROM visit)",
        "SELECT count(*) FROM (SELECT pid AS x, days AS y FROM visit) AS v(a, b)",
        "SELECT count(*) FROM (SELECT v.days FROM visit v JOIN emr e ON e.pid = v.pid) t",
        "SELECT count(*) FROM (SELECT pid AS who, kind FROM visit) WHERE who IS NOT NULL",
    ] {
        let rows = number(&desk.ask(sql).await);
        assert!((rows - 800.0).abs() < 30.0, "{sql}: {rows}");
    }
    for (sql, rule) in [
        (
            "SELECT count(*) FROM (SELECT pid FROM emr UNION ALL SELECT -pid FROM emr)",
            "shape",
        ),
        (
            "SELECT count(*) FROM (SELECT pid FROM emr UNION SELECT pid FROM visit)",
            "shape",
        ),
        (
            "SELECT count(*) FROM (SELECT NULLIF(pid, pid) AS pid FROM emr)",
            "person-key",
        ),
        (
            "SELECT count(*) FROM emr a FULL JOIN visit b ON a.pid = b.pid",
            "join",
        ),
    ] {
        assert_eq!(desk.refused(sql).await, rule, "{sql}");
    }
    // Rows without a person belong to nobody and are left out.
    let batch = RecordBatch::try_from_iter([(
        "pid",
        Arc::new(
            (0..300)
                .map(|pid| (pid < 100).then_some(pid))
                .collect::<Int64Array>(),
        ) as ArrayRef,
    )])
    .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let desk = Desk::with_budget(generous(), batch, folder.path());
    let rows = number(&desk.ask("SELECT count(*) FROM emr").await);
    assert!((rows - 100.0).abs() < 20.0, "{rows}");
}

#[tokio::test]
async fn attack_39_a_group_key_shows_by_threshold_or_by_declaration() {
    let folder = tempfile::tempdir().unwrap();
    let asking = desk(generous(), folder.path());
    let groups = asking
        .ask("SELECT name, count(*) FROM emr GROUP BY name")
        .await;
    assert_eq!(groups, [""; 0], "no name is shared by enough persons");
    let rare = asking
        .ask("SELECT dx, count(DISTINCT pid) FROM emr GROUP BY dx ORDER BY dx")
        .await;
    assert!(rare.iter().any(|row| row.starts_with("asthma")), "{rare:?}");
    // Declared keys are all there, and nothing else, whoever has them.
    let folder = tempfile::tempdir().unwrap();
    let mut rules = generous();
    let keys = ["asthma", "plague"].map(|key| ScalarValue::Utf8(Some(key.to_owned())));
    rules
        .keys
        .insert(("emr".into(), "dx".into()), keys.to_vec());
    let desk = desk(rules, folder.path());
    let groups = desk
        .ask("SELECT d, count(*) FROM (SELECT dx AS d FROM emr) GROUP BY d ORDER BY d")
        .await;
    let names: Vec<&str> = groups
        .iter()
        .filter_map(|row| row.split('|').next())
        .collect();
    assert_eq!(names, ["asthma", "plague"]);
}

#[tokio::test]
async fn attack_40_errors() {
    let folder = tempfile::tempdir().unwrap();
    let desk = desk(generous(), folder.path());
    assert_eq!(
        desk.refused("SELECT count(*) FROM emr WHERE 1 / (pid - 7) > -5")
            .await,
        "person-key"
    );
    for condition in [
        "1 / (age - 22) > -5",
        "CAST(concat('x', dx) AS INT) = 1",
        "1 % (los - 3) >= 0",
    ] {
        let rows = desk
            .ask(&format!("SELECT count(*) FROM emr WHERE {condition}"))
            .await;
        assert_eq!(rows.len(), 1, "{condition}");
    }
}

#[tokio::test]
async fn attack_41_seeds_and_chance() {
    let folder = tempfile::tempdir().unwrap();
    let desk = desk(generous(), folder.path());
    assert_eq!(
        desk.refused("SELECT random() < 0.5, count(*) FROM emr GROUP BY 1")
            .await,
        "function"
    );
    assert_eq!(
        desk.refused("SELECT count(*) FROM emr WHERE random() < 0.5")
            .await,
        "function"
    );
    // No statement reaches the generator: two desks draw different noise.
    let mut answers = std::collections::BTreeSet::new();
    for _ in 0..12 {
        let folder = tempfile::tempdir().unwrap();
        let desk = Desk::with_budget(strict(), emr(), folder.path());
        answers.insert(desk.ask("SELECT count(*) FROM emr").await);
    }
    assert!(answers.len() > 6, "{answers:?}");
}

#[tokio::test]
async fn attack_43_budget_stays_spent() {
    let folder = tempfile::tempdir().unwrap();
    let mut rules = strict();
    rules.epsilon_per_query = 0.9;
    let first = desk(rules.clone(), folder.path());
    first.ask("SELECT count(*) FROM emr").await;
    drop(first);
    // A new session, and the same tables under another name.
    let again = desk(rules, folder.path());
    assert_eq!(
        again
            .refused("SELECT count(*) FROM emr WHERE age > 30")
            .await,
        "budget"
    );
    assert_eq!(
        again
            .refused("SELECT count(*) FROM emr AS other WHERE age > 30")
            .await,
        "budget"
    );
}

/// The noise of a whole answer: 150 questions of the same persons. With the stated σ, the mean square is off by more than
/// six of its standard errors in less than one of 5e8 runs, and the mean likewise.
#[tokio::test]
async fn the_noise_of_an_answer_is_what_it_states() {
    let runs = 150_u32;
    let folder = tempfile::tempdir().unwrap();
    let mut rules = strict();
    rules.epsilon = 500.0;
    let desk = desk(rules, folder.path());
    let (mut squares, mut sum, mut stated) = (0.0, 0.0, 0.0);
    for run in 0..runs {
        // Everybody, in other words each time: another question, and other noise.
        let sql = format!(
            "SELECT count(DISTINCT pid) AS n FROM emr WHERE age < {}",
            1_000 + run
        );
        let shown = number(&desk.ask(&sql).await);
        let notes = desk.notes.take().join("\n");
        let text = notes.split(" ± ").nth(1).unwrap();
        stated = text.split(';').next().unwrap().parse().unwrap();
        squares += (shown - 400.0).powi(2);
        sum += shown - 400.0;
    }
    let n = f64::from(runs);
    let ratio = squares / n / (stated * stated);
    assert!(
        (ratio - 1.0).abs() < 6.0 * (2.0 / n).sqrt(),
        "{ratio} of {stated}"
    );
    assert!(
        (sum / n).abs() < 6.0 * stated / n.sqrt(),
        "{} of {stated}",
        sum / n
    );
}

/// A person has one row in `emr`, and is in one group of it, by its key; in `visit` there may be any number.
#[tokio::test]
async fn rows_of_a_table_with_one_for_each_person_have_the_noise_of_persons() {
    let folder = tempfile::tempdir().unwrap();
    let mut rules = strict();
    rules.epsilon = 100.0;
    let desk = desk(rules, folder.path());
    let mut stated = Vec::new();
    for sql in [
        "SELECT count(DISTINCT pid) FROM emr",
        "SELECT count(*) FROM emr",
        "SELECT count(*) FROM emr JOIN (SELECT pid, count(*) AS n FROM visit GROUP BY pid) v ON v.pid = emr.pid",
        "SELECT count(*) FROM emr JOIN visit v ON v.pid = emr.pid",
        "SELECT count(*) FROM visit",
    ] {
        desk.ask(sql).await;
        let notes = desk.notes.take().join("\n");
        let text = notes.split(" ± ").nth(1).unwrap();
        let text = text.split(';').next().unwrap();
        stated.push(text.parse::<f64>().unwrap());
    }
    assert_eq!(stated[1..3], [stated[0]; 2]);
    assert!(
        stated[3..].iter().all(|noise| *noise > 1.9 * stated[0]),
        "{stated:?}"
    );
    desk.ask("SELECT age / 20, count(*) FROM emr GROUP BY 1")
        .await;
    let notes = desk.notes.take().join("\n");
    assert!(
        notes.contains("in at most 1 groups, with one row"),
        "{notes}"
    );
}

/// ε from outside: the answers on neighbouring data, with one person in the group or not. The likelihood of answers
/// above a cut may not differ by more than e^ε with a margin of five standard errors (false alarm below 1e-6 per cut),
/// for the ε that one query is stated to cost.
#[tokio::test]
async fn epsilon_estimated_on_neighbouring_data() {
    let runs = 200_u32;
    let neighbour = |with: bool| {
        let pids = Int64Array::from_iter_values(if with { 0..21 } else { 0..20 });
        let ages = Int64Array::from(vec![50; pids.len()]);
        RecordBatch::try_from_iter([
            ("pid", Arc::new(pids) as ArrayRef),
            ("age", Arc::new(ages) as ArrayRef),
        ])
        .unwrap()
    };
    let mut rules = strict();
    rules.epsilon = 2_000.0;
    rules.epsilon_per_query = 2.0;
    rules.max_rows = 1;
    let mut answers = [Vec::new(), Vec::new()];
    for (at, with) in [false, true].into_iter().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        let desk = Desk::with_budget(rules.clone(), neighbour(with), folder.path());
        for run in 0..runs {
            let sql = format!("SELECT count(*) FROM emr WHERE age < {}", 1_000 + run);
            answers[at].push(number(&desk.ask(&sql).await));
        }
    }
    let share =
        |of: &[f64], cut: f64| of.iter().filter(|x| **x >= cut).count() as f64 / f64::from(runs);
    let margin = |p: f64| 5.0 * (p * (1.0 - p) / f64::from(runs)).sqrt();
    for cut in 10..32 {
        let (without, with) = (
            share(&answers[0], f64::from(cut)),
            share(&answers[1], f64::from(cut)),
        );
        let low = with - margin(with);
        if low > 0.0 {
            let estimate = (low / (without + margin(without)).max(1e-9)).ln();
            assert!(estimate <= rules.epsilon_per_query, "{estimate} at {cut}");
        }
    }
}
