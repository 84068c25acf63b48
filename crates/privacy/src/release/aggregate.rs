//! The aggregate role: releases under disclosure control.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::{DFSchema, DFSchemaRef, DataFusionError, Result};
use datafusion::logical_expr::{Aggregate, LogicalPlan};

use super::curve::Releasable;
use super::lens::Lens;
use super::node::ReleaseNode;
use super::numbers::{Withheld, released};
use super::recomputed::MadeOf;
use super::shape::{Releaser, Rows};
use super::spec::{Function, Number, Spec, spec};
use super::{Notes, Release};
use crate::disclosure::Profile;
use crate::disclosure::models::Column;
use crate::disclosure::parts::{Part, Words};
use crate::disclosure::persons::Contribution;
use crate::disclosure::releases::{Outcome, Reader, Releases, Table};

/// Called with what each release withheld, for the audit log.
pub type OnRelease = Arc<dyn Fn(Withheld) + Send + Sync>;

/// Disclosure control of a principal's answers.
pub struct Controlled {
    /// The rules.
    pub profile: Profile,
    /// To whom, and of which snapshot.
    pub reader: Reader,
    /// Through what the role sees its tables.
    pub lens: Lens,
    /// What was released before.
    pub releases: Arc<Releases>,
    /// How the results of our own statistics may be disclosed, by function.
    pub declared: BTreeMap<String, Releasable>,
    /// What the principal is told.
    pub notes: Arc<Notes>,
    /// Who is told what was withheld.
    pub on_release: Option<OnRelease>,
}

impl std::fmt::Debug for Controlled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Controlled")
            .field("profile", &self.profile)
            .field("reader", &self.reader)
            .finish_non_exhaustive()
    }
}

impl Controlled {
    /// Holds a model's columns against those of earlier ones.
    pub(super) fn beside_models(
        &self,
        words: Words<'_>,
        persons: (&[Contribution], &[Part]),
        columns: &mut [Column],
    ) -> Result<Option<i64>> {
        let whose = (&self.reader, u64::from(self.profile.k));
        self.releases
            .beside_models(whose, words, persons, columns)
            .map_err(|error| DataFusionError::External(Box::new(error)))
    }

    /// Decides about numbers, and keeps what is shown of them.
    pub(super) fn release(&self, tables: &mut [Table]) -> Result<Vec<Vec<Outcome>>> {
        let outcomes = self
            .releases
            .release(&self.reader, &self.profile, &self.lens.treatments(), tables)
            .map_err(|error| DataFusionError::External(Box::new(error)))?;
        if tables.iter().any(|table| table.gave_up) {
            self.notes.add(
                "too many small groups on too many levels to audit at once: all of them are empty; ask for fewer levels \
                 (GROUPING SETS in place of CUBE) or for coarser groups"
                    .to_owned(),
            );
        }
        Ok(outcomes)
    }
}

impl Releaser for Arc<Controlled> {
    fn release(
        &self,
        aggregate: &Aggregate,
        input: LogicalPlan,
        rows: &Rows,
    ) -> Result<LogicalPlan> {
        // The same words ask of other rows where a role sees others.
        let seen = self.lens.of_plan(&input)?;
        let (mut spec, plan) = spec(aggregate, input, rows, &self.declared)?;
        spec.rows.push_str(&seen);
        let schema = nullable(&aggregate.schema)?;
        let release = Answer {
            control: Arc::clone(self),
            spec,
            schema: Arc::clone(schema.inner()),
        };
        Ok(ReleaseNode::plan(plan, schema, Arc::new(release)))
    }
}

/// The same columns, any of which may be withheld.
pub(super) fn nullable(schema: &DFSchemaRef) -> Result<DFSchemaRef> {
    let fields = schema
        .iter()
        .map(|(table, field)| {
            (
                table.cloned(),
                Arc::new(field.as_ref().clone().with_nullable(true)),
            )
        })
        .collect();
    Ok(Arc::new(DFSchema::new_with_metadata(
        fields,
        schema.metadata().clone(),
    )?))
}

#[derive(Debug)]
struct Answer {
    control: Arc<Controlled>,
    spec: Spec,
    schema: SchemaRef,
}

impl Release for Answer {
    fn before(&self) -> Result<Option<RecordBatch>> {
        Ok(None)
    }

    fn answer(&self, computed: &RecordBatch) -> Result<RecordBatch> {
        let control = &self.control;
        let profile = &control.profile;
        let (batch, withheld) = released(computed, &self.spec, &self.schema, control)?;
        let rounding = profile.round_to.map_or_else(String::new, |step| {
            format!(", counts are rounded to the nearest {step}")
        });
        control.notes.add(format!(
            "disclosure control `{}`: groups of fewer than {} persons are not listed, numbers that would give one away \
             are empty{rounding}, means are shown to the first digit of their standard error; of nearly the same persons as before \
             the answer is that of before, and what parts tell of a total leaves it empty: ask for groups and their total together, with ROLLUP",
            profile.name, profile.k
        ));
        if self
            .spec
            .bases
            .iter()
            .any(|basis| basis.asked && basis.is_computed())
        {
            control.notes.add(
                "a column's mean and spread are shown for one expression of it: others, for the same or nearly the same \
                 persons, are empty (a multiple of the column is no other)"
                    .to_owned(),
            );
        }
        let of_rows = |number: &Number| {
            matches!(
                number.function,
                Function::Rows | Function::RowsPer(_) | Function::Sum(_)
            )
        };
        if self.spec.numbers.iter().any(of_rows) {
            control.notes.add(format!(
                "where most persons of a group have the same number of rows, fewer than {} others are counted as if they had it too",
                profile.k
            ));
        }
        let of_one_row = |number: &Number| match &number.function {
            Function::Curve(..) | Function::Model(_) => true,
            Function::Recomputed(of) => matches!(of.made_of, MadeOf::Steps { .. }),
            _ => false,
        };
        if self.spec.numbers.iter().any(of_one_row) {
            control.notes.add(
                "curves, regressions and tests of survival take one row for each person (GROUP BY the person first): of persons with \
                 several there is none"
                    .to_owned(),
            );
        }
        let of_model = |number: &Number| matches!(number.function, Function::Model(_));
        if self.spec.numbers.iter().any(of_model) {
            control.notes.add(
                "several regressions of the same persons are shown where the words of their queries say that they are the same, \
                 and the later ones are empty otherwise: write one FROM and WHERE for all, with `x IS NOT NULL` for each column \
                 of any of them, and a time as `person_time(a, b)` or `greatest(days_between(a, b), 0)`"
                    .to_owned(),
            );
        }
        if let Some(tell) = &control.on_release {
            tell(withheld);
        }
        Ok(batch)
    }
}
