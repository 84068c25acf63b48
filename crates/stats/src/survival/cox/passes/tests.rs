//! What parts of the rows answer is what the whole answers.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;

use super::*;
use crate::survival::cox::{Cox, Row, Ties};

/// Time, start, event, covariates, stratum, weight.
type Line = (u8, u8, bool, i8, u8, u8);

fn rows(lines: &[Line], fractional: bool) -> Rows {
    let mut rows = Rows::new();
    for (time, start, event, x, stratum, weight) in lines {
        let covariates = [2000.0 + f64::from(*x) / 8.0, f64::from(stratum % 2)];
        let start = f64::from(start % 40);
        rows.push(&Row {
            start: Some(start),
            stratum: u64::from(stratum % 3),
            weight: f64::from(weight % 3) + if fractional { 0.5 } else { 1.0 },
            ..Row::new(start + 1.0 + f64::from(time % 60), *event, &covariates)
        })
        .unwrap();
    }
    rows
}

fn close(a: &[f64], b: &[f64]) -> bool {
    let scale = b.iter().fold(1.0_f64, |scale, b| scale.max(b.abs()));
    a.iter()
        .zip(b)
        .all(|(a, b)| a == b || a.is_nan() && b.is_nan() || (a - b).abs() <= 1e-10 * scale)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn passes_that_travel_give_the_fit(
        lines in prop::collection::vec(any::<Line>(), 60..200),
        cuts in prop::collection::vec(1..50_usize, 1..4),
        breslow: bool,
        fractional: bool,
    ) {
        let options = Options {
            ties: if breslow { Ties::Breslow } else { Ties::Efron },
            ..Options::default()
        };
        let all = rows(&lines, fractional);
        let whole = Cox::fit(&all, &options);
        let mut parts: Vec<Rows> = Vec::new();
        let mut rest = lines.as_slice();
        for cut in cuts {
            let (part, others) = rest.split_at(cut.min(rest.len()));
            parts.push(rows(part, fractional));
            rest = others;
        }
        parts.push(rows(rest, fractional));
        let by_passes = || -> Result<Fit> {
            let mut fitting = Fitting::new(options);
            while let Some(question) = fitting.question() {
                let mut all = Answer::default();
                for part in &parts {
                    let question = Question::from_numbers(&question.to_numbers())?;
                    let answer = question.answer(part, &options)?;
                    all.merge(Answer::from_numbers(&answer.to_numbers())?);
                }
                fitting.take(all)?;
            }
            fitting.finish()
        };
        match (whole, by_passes()) {
            (Ok(whole), Ok(found)) => {
                let whole = whole.result();
                prop_assert_eq!(found.robust, whole.robust);
                prop_assert_eq!(&found.dropped, &whole.dropped);
                prop_assert_eq!(&found.infinite, &whole.infinite);
                if !whole.infinite.contains(&true) {
                    prop_assert!(close(&found.coefficients, &whole.coefficients));
                    prop_assert!(close(&found.variance.concat(), &whole.variance.concat()));
                    prop_assert!(close(&found.means, &whole.means));
                }
                prop_assert!(close(&[found.log_likelihood], &[whole.log_likelihood]));
            }
            (whole, found) => prop_assert_eq!(whole.err(), found.err()),
        }
    }
}

#[test]
fn times_that_are_not_whole_need_the_rows() {
    let mut rows = Rows::new();
    for time in [1.0, 2.5, 3.0] {
        rows.push(&Row::new(time, true, &[time * time])).unwrap();
    }
    let mut fitting = Fitting::new(Options::default());
    let answer = fitting
        .question()
        .unwrap()
        .answer(&rows, &Options::default());
    fitting.take(answer.unwrap()).unwrap();
    assert!(fitting.needs_rows() && fitting.question().is_none());
}

#[test]
fn what_is_cut_short_is_refused() {
    let mut numbers = Question(Ask::Step {
        places: Arc::new(Places {
            ranges: vec![0..1, 1..3],
            time: vec![1.0, 2.0, 5.0],
            centre: vec![0.5],
        }),
        beta: vec![0.25],
    })
    .to_numbers();
    Question::from_numbers(&numbers).unwrap();
    numbers.pop();
    assert_eq!(
        Question::from_numbers(&numbers).unwrap_err(),
        Error::CorruptState
    );
    assert_eq!(
        Answer::from_numbers(&[2.0, 7.0]).unwrap_err(),
        Error::CorruptState
    );
}
