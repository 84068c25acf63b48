//! What is implausible in rows that come in order of persons.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Date32Type, Int64Type};

use super::people::{Cursor, People, as_days};
use crate::findings::{Finding, FindingKind};
use crate::reader::Target;

/// The columns of a table that are looked at.
#[derive(Debug)]
pub(crate) struct Checks {
    table: String,
    person: Option<usize>,
    start: Option<usize>,
    end: Option<usize>,
    concept: Option<usize>,
    pub(crate) key: Option<usize>,
    /// Columns that should have a value in every row.
    required: Vec<usize>,
    /// Whether rows must belong to a person with a person row.
    needs_person: bool,
    /// Whether rows may not start after the person's death.
    ends_with_death: bool,
}

/// What was counted in some rows of a table.
#[derive(Debug, Default, Clone)]
pub(crate) struct Counts {
    pub(crate) rows: u64,
    no_person: u64,
    before_birth: u64,
    after_death: u64,
    end_before_start: u64,
    unmapped: u64,
    /// By position in the required columns.
    missing: Vec<u64>,
}

impl Checks {
    pub(crate) fn new(target: &Target) -> Self {
        let schema = &target.spec.schema;
        let position = |name: &str| schema.index_of(name).ok();
        let def = target.def;
        let required = def
            .map_or(&[][..], |def| def.columns)
            .iter()
            .filter(|column| column.required);
        let required = required.filter(|column| {
            !target
                .missing_columns
                .iter()
                .any(|missing| missing == column.name)
        });
        Self {
            table: target.spec.name.clone(),
            person: target.spec.person_key.as_deref().and_then(position),
            start: target.start_date.as_deref().and_then(position),
            end: target.end_date.as_deref().and_then(position),
            concept: def.and_then(|def| def.concept).and_then(position),
            key: def.and_then(|def| def.primary_key()).and_then(position),
            required: required
                .filter_map(|column| position(column.name))
                .collect(),
            needs_person: target.spec.name != "person",
            ends_with_death: target.spec.name != "death",
        }
    }

    /// Counts what is implausible in rows that follow those seen before.
    pub(crate) fn look(&self, batch: &RecordBatch, cursor: &mut Cursor<'_>, counts: &mut Counts) {
        counts.rows += batch.num_rows() as u64;
        counts.missing.resize(self.required.len(), 0);
        for (count, column) in counts.missing.iter_mut().zip(&self.required) {
            *count += batch.column(*column).null_count() as u64;
        }
        let concepts = self
            .concept
            .and_then(|column| batch.column(column).as_primitive_opt::<Int64Type>());
        if let Some(concepts) = concepts {
            counts.unmapped += concepts
                .iter()
                .filter(|concept| *concept == Some(0))
                .count() as u64;
        }
        let dates = |column: Option<usize>| column.and_then(|column| as_days(batch.column(column)));
        let (starts, ends) = (dates(self.start), dates(self.end));
        let starts = starts
            .as_ref()
            .map(|days| days.as_primitive::<Date32Type>());
        let ends = ends.as_ref().map(|days| days.as_primitive::<Date32Type>());
        if let (Some(starts), Some(ends)) = (starts, ends) {
            let both = starts.iter().zip(ends.iter());
            counts.end_before_start += both
                .filter(|(start, end)| start.zip(*end).is_some_and(|(start, end)| end < start))
                .count() as u64;
        }
        let Some(persons) = self
            .person
            .and_then(|column| batch.column(column).as_primitive_opt::<Int64Type>())
        else {
            return;
        };
        for (row, person) in persons.values().iter().enumerate() {
            let life = cursor.life(*person);
            counts.no_person += u64::from(self.needs_person && !life.is_known);
            if let Some(starts) = starts.filter(|starts| starts.is_valid(row)) {
                let start = starts.value(row);
                counts.before_birth += u64::from(start < life.birth);
                counts.after_death += u64::from(self.ends_with_death && start > life.death);
            }
        }
    }

    /// The counts as findings.
    pub(crate) fn findings(
        &self,
        target: &Target,
        people: &People,
        counts: &Counts,
        repeated: u64,
    ) -> Vec<Finding> {
        let name = |column: Option<usize>| {
            column.map(|column| target.spec.schema.field(column).name().as_str())
        };
        let finding = |column: Option<usize>, kind, count| {
            Finding::new(&self.table, name(column), kind, count)
        };
        let mut findings = vec![
            finding(self.key, FindingKind::RepeatedKey, repeated),
            finding(self.start, FindingKind::BeforeBirth, counts.before_birth),
            finding(self.start, FindingKind::AfterDeath, counts.after_death),
            finding(
                self.end,
                FindingKind::EndBeforeStart,
                counts.end_before_start,
            ),
            finding(self.concept, FindingKind::UnmappedConcept, counts.unmapped),
        ];
        // Where nothing is known of any person, one missing table says it all.
        if people.len() > 0 {
            findings.push(finding(
                self.person,
                FindingKind::NoPerson,
                counts.no_person,
            ));
        }
        for (column, count) in self.required.iter().zip(&counts.missing) {
            findings.push(finding(Some(*column), FindingKind::MissingValue, *count));
        }
        findings
    }
}

impl Counts {
    pub(crate) fn join(&mut self, other: &Self) {
        self.rows += other.rows;
        self.no_person += other.no_person;
        self.before_birth += other.before_birth;
        self.after_death += other.after_death;
        self.end_before_start += other.end_before_start;
        self.unmapped += other.unmapped;
        self.missing
            .resize(self.missing.len().max(other.missing.len()), 0);
        for (count, other) in self.missing.iter_mut().zip(&other.missing) {
            *count += other;
        }
    }
}
