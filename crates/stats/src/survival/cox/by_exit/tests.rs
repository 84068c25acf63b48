//! Whatever the order of the rows, a fit is the same.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
use super::*;
use crate::survival::cox::robust::ScoreResiduals;
use crate::survival::cox::{RowColumns, Ties};
use crate::survival::newton::{Evaluation, Likelihood, Newton};

/// Rows with strata, weights, offsets, whole and other covariates, some leaving before any event.
fn rows(n: u32, days: u32) -> Rows {
    let noise = |row: u32, factor: u32| f64::from(row.wrapping_mul(factor) % 1009) / 1009.0;
    let column = |of: &dyn Fn(u32) -> f64| (0..n).map(of).collect::<Vec<f64>>();
    Rows::from_columns(RowColumns {
        time: column(&|row| f64::from(row * 7919 % days)),
        event: (0..n)
            .map(|row| row * 7919 % days > 2 && noise(row, 613) < 0.3)
            .collect(),
        covariates: vec![
            column(&|row| (40.0 * noise(row, 211)).floor()).into(),
            column(&|row| noise(row, 401)).into(),
            column(&|row| f64::from(row % 3)).into(),
        ],
        stratum: (0..n).map(|row| u64::from(row % 2)).collect(),
        weight: column(&|row| 0.5 + noise(row, 97)),
        offset: column(&|row| noise(row, 31) - 0.5),
        ..RowColumns::default()
    })
    .unwrap()
}

fn evaluations(rows: &Rows, ties: Ties) -> [Evaluation; 2] {
    let mut model = Model::new(rows, Layout::new(rows).unwrap(), ties);
    assert!(model.by_exit.is_some());
    let beta = [0.03, -0.7, 0.2];
    let ordered = model.evaluate(&beta);
    model.by_exit = None;
    [ordered, model.evaluate(&beta)]
}

fn assert_same(n: u32, days: u32, ties: Ties) {
    let close = |a: f64, b: f64| assert!((a - b).abs() <= 1e-11 * (1.0 + b.abs()), "{a} {b}");
    let [ordered, by_row] = evaluations(&rows(n, days), ties);
    close(ordered.log_likelihood, by_row.log_likelihood);
    for term in 0..3 {
        close(ordered.score[term], by_row.score[term]);
        for other in 0..3 {
            let [a, b] = [&ordered, &by_row].map(|at| at.information.get(term, other));
            close(a, b);
        }
    }
}

#[test]
fn the_order_of_the_rows_does_not_matter() {
    for (n, days) in [(600, 5), (5_000, 40), (40_000, 11), (70_001, 300)] {
        assert_same(n, days, Ties::Efron);
        assert_same(n, days, Ties::Breslow);
    }
}

/// One stratum of whole numbers without weights, years among them: what is summed up as whole numbers where there are no
/// coefficients.
#[test]
fn nor_without_coefficients() {
    for (n, days) in [(600, 5), (5_000, 40), (70_001, 300)] {
        let mut rows = rows(n, days);
        for column in [&mut rows.weight, &mut rows.offset] {
            column.clear();
        }
        rows.stratum.clear();
        rows.covariates[1] = (0..n)
            .map(|row| f64::from(2_000 + row * 7 % 24))
            .collect::<Vec<f64>>()
            .into();
        let mut model = Model::new(&rows, Layout::new(&rows).unwrap(), Ties::Efron);
        assert!(model.by_exit.is_some() && !model.layout.leaving.is_empty());
        let ordered = model.evaluate(&[0.0; 3]);
        model.by_exit = None;
        let by_row = model.evaluate(&[0.0; 3]);
        let close = |a: f64, b: f64| assert!((a - b).abs() <= 1e-10 * (1.0 + b.abs()), "{a} {b}");
        close(ordered.log_likelihood, by_row.log_likelihood);
        for term in 0..3 {
            close(ordered.score[term], by_row.score[term]);
            for other in 0..3 {
                let [a, b] = [&ordered, &by_row].map(|at| at.information.get(term, other));
                close(a, b);
            }
        }
    }
}

#[test]
fn nor_for_the_residuals() {
    for (n, days) in [(600, 5), (5_000, 40), (70_001, 300)] {
        let rows = rows(n, days);
        let model = Model::new(&rows, Layout::new(&rows).unwrap(), Ties::Efron);
        let beta = [0.03, -0.7, 0.2];
        let ordered = model.ordered_squares(&beta).unwrap();
        let by_row = ScoreResiduals::new(&model, &beta).square().unwrap();
        for term in 0..3 {
            for other in 0..3 {
                let (a, b) = (ordered.get(term, other), by_row.get(term, other));
                assert!((a - b).abs() <= 1e-11 * (1.0 + b.abs()), "{a} {b}");
            }
        }
    }
}

/// Steps with six digits of the information end where steps with all of them do.
#[test]
fn rounded_information_changes_no_result() {
    struct Exact<'a>(&'a Model<'a>);
    impl Likelihood for Exact<'_> {
        fn evaluate(&self, beta: &[f64]) -> Evaluation {
            self.0.evaluate(beta)
        }
    }
    let rows = rows(90_001, 300);
    let model = Model::new(&rows, Layout::new(&rows).unwrap(), Ties::Efron);
    assert!(!model.approach(&[0.03, -0.7, 0.2], |_| false).1);
    let newton = Newton::new(model.evaluate(&[0.0; 3]), &model.columns, 1.0);
    let exact = newton.maximise(&Exact(&model), 1e-9, 20).unwrap();
    let rounded = newton.maximise(&model, 1e-9, 20).unwrap();
    assert_eq!(exact.iterations, rounded.iterations);
    for term in 0..3 {
        let close = |a: f64, b: f64| assert!((a - b).abs() <= 1e-12 * b.abs(), "{a} {b}");
        close(rounded.beta[term], exact.beta[term]);
        for other in 0..3 {
            let [a, b] = [&rounded, &exact].map(|fit| fit.at.information.get(term, other));
            close(a, b);
        }
    }
}

/// Rows by the thousand for each time are worth the order, a few are not, nor are rows that start late.
#[test]
fn the_order_is_for_many_rows_at_few_times() {
    let ordered = |rows: &Rows| {
        let layout = Layout::new(rows).unwrap();
        Model::new(rows, layout, Ties::Efron).by_exit.is_some()
    };
    assert!(ordered(&rows(5_000, 40)));
    assert!(!ordered(&rows(5_000, 400)));
    let mut late = rows(5_000, 40);
    late.start = vec![f64::NEG_INFINITY; 5_000];
    assert!(!ordered(&late));
}
