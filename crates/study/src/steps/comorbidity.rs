//! Comorbidity indices of the population, by the lists of `columna-stats`.
//!
//! Charlson's conditions are found by the concept hierarchy, Elixhauser's by the ICD-10 codes of the source, for which alone there
//! is a published list.

use std::collections::HashMap;

use columna_stats::description::comorbidity::{CHARLSON, Conditions, ELIXHAUSER};
use datafusion::prelude::SessionContext;

use super::covariates::{counts, within};
use super::statements::{ask, need_table};
use crate::error::{Error, Result};
use crate::frame;
use crate::spec::{Comorbidity, ConceptSet, Domain, Window};

/// The index of each person; 0 without a condition.
pub(crate) async fn build(
    ctx: &SessionContext,
    step: &str,
    index: Comorbidity,
    window: Window,
    rows: &HashMap<i64, usize>,
    people: usize,
) -> Result<Vec<f64>> {
    need_table(ctx, step, "condition_occurrence").await?;
    let (list, present) = match index {
        Comorbidity::Charlson => (&CHARLSON, by_concept(ctx, window, rows, people).await?),
        Comorbidity::Elixhauser => (&ELIXHAUSER, by_code(ctx, step, window, rows, people).await?),
    };
    Ok(present
        .into_iter()
        .map(|present| f64::from(list.score(present, 0)))
        .collect())
}

async fn by_concept(
    ctx: &SessionContext,
    window: Window,
    rows: &HashMap<i64, usize>,
    people: usize,
) -> Result<Vec<Conditions>> {
    let mut bits = vec![0_u64; people];
    for (place, condition) in CHARLSON.conditions.iter().enumerate() {
        let set = ConceptSet {
            concepts: condition.concepts.iter().copied().map(i64::from).collect(),
            descendants: true,
            exclude: Vec::new(),
        };
        let found = counts(ctx, Domain::Condition, &set, window, rows, people).await?;
        for (bits, number) in bits.iter_mut().zip(found) {
            *bits |= u64::from(number > 0.0) << place;
        }
    }
    Ok(bits.into_iter().map(Conditions::from_bits).collect())
}

async fn by_code(
    ctx: &SessionContext,
    step: &str,
    window: Window,
    rows: &HashMap<i64, usize>,
    people: usize,
) -> Result<Vec<Conditions>> {
    let sql = format!(
        "SELECT DISTINCT r.person_id, r.condition_source_value AS code FROM condition_occurrence r \
         JOIN population p ON p.person_id = r.person_id WHERE r.condition_source_value IS NOT NULL AND {}",
        within(window, "condition_start_date")
    );
    let answer = ask(ctx, &sql).await?;
    let (mut any, mut coded) = (false, false);
    let mut present = vec![Conditions::default(); people];
    for (person, code) in frame::integers(&answer, "person_id")?
        .into_iter()
        .zip(frame::texts(&answer, "code")?)
    {
        let (Some(row), Some(code)) = (person.and_then(|person| rows.get(&person)), code) else {
            continue;
        };
        any = true;
        // Source codes may be of any vocabulary: those of others are passed over.
        coded |= present[*row].add(&ELIXHAUSER, &code).is_ok() && looks_like_icd10(&code);
    }
    // Zeros for everybody would look like healthy persons.
    if any && !coded {
        return Err(Error::Step {
            step: step.to_owned(),
            message: "no diagnosis in the window has an ICD-10 code in `condition_source_value`, which Elixhauser's index \
                      needs; Charlson's index goes by concepts"
                .to_owned(),
        });
    }
    Ok(present)
}

/// A letter and two digits, as all categories of ICD-10 begin but a few that end in a letter.
fn looks_like_icd10(code: &str) -> bool {
    let mut letters = code.chars();
    letters
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic())
        && letters.next().is_some_and(|second| second.is_ascii_digit())
        && letters
            .next()
            .is_some_and(|third| third.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_icd10_are_known_from_others() {
        for code in ["I50.0", "i48", "C7A.1"] {
            assert!(looks_like_icd10(code), "{code}");
        }
        for code in ["44054006", "250.00", "diabetes", "E1", ""] {
            assert!(!looks_like_icd10(code), "{code}");
        }
    }
}
