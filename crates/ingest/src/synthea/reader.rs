//! The reader: files of the export in, rows of OMOP's tables out.

use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Int64Array, RecordBatch, StringArray, new_null_array};
use columna_store::{Snapshot, Store};

use super::evaluate::Context;
use super::index::{Index, Scan};
use super::load::{self, Found};
use super::map::{BlockMapper, Mapped};
use super::plan::{LOCATION, OBSERVATION_PERIOD, Plan, TablePlan, Titled};
use super::rows;
use super::stored::{Stored, too_many_visits};
use super::vocabulary::Vocabulary;
use crate::csv::Dialect;
use crate::findings::{Finding, FindingKind};
use crate::options::IngestOptions;
use crate::reader::{Block, Decoded, Input, Reader, Target, TargetRows};
use crate::source::{Source, SourceFile};
use crate::{Error, Result};

/// Found in the record by an algorithm: the period between encounters is nobody's entry.
const TYPE_DERIVED: i64 = 32_882;

/// A CSV export of Synthea.
#[derive(Debug)]
pub(crate) struct SyntheaReader {
    plan: Plan,
    targets: Vec<Target>,
    inputs: Vec<Input>,
    /// By input: which of its table's files it is.
    parts: Vec<usize>,
    index: Index,
    vocabulary: Option<Box<Vocabulary>>,
    /// By table of the plan: the highest key in the store.
    bases: Vec<i64>,
    replace: bool,
    /// The input whose first block the tables without a file come with, by table of the plan.
    derived: Vec<(usize, usize)>,
    findings: Vec<Finding>,
}

impl SyntheaReader {
    /// Reads all headers, the vocabulary, what the store has, and what rows refer to across files.
    pub(crate) async fn open(
        source: &Source,
        store: &Store,
        snapshot: &Snapshot,
        options: &IngestOptions,
    ) -> Result<Self> {
        let stored = Stored::read(store, snapshot).await?;
        Self::with(source, stored, options)
    }

    pub(super) fn with(source: &Source, stored: Stored, options: &IngestOptions) -> Result<Self> {
        let mut findings = Vec::new();
        let mut files: Vec<(SourceFile, Dialect, usize)> = Vec::new();
        let mut titled = Vec::new();
        let tables = source
            .tables
            .iter()
            .filter(|table| !load::is_vocabulary_table(&table.name));
        for table in tables {
            for (part, file) in table.files.iter().enumerate() {
                let Some((dialect, header)) = rows::header(file)? else {
                    findings.push(Finding::new(&file.name, None, FindingKind::EmptyFile, 1));
                    continue;
                };
                files.push((file.clone(), dialect, part));
                titled.push(Titled {
                    stem: table.name.clone(),
                    name: file.name.clone(),
                    header,
                });
            }
        }
        if files.is_empty() {
            let hint = "all of its files are empty".to_owned();
            return Err(Error::NothingToRead {
                path: source.path.display().to_string(),
                hint,
            });
        }
        let vocabulary = match load::load(source, options.vocabulary.as_ref())? {
            Found::Vocabulary(vocabulary) => Some(vocabulary),
            Found::WithoutConcepts(name) => {
                findings.push(Finding::new(
                    &format!("{name}/concept"),
                    None,
                    FindingKind::MissingTable,
                    1,
                ));
                None
            }
            Found::Nothing => None,
        };
        let plan = Plan::new(&titled)?;
        let mut index = stored.index;
        index.locations.replace = options.replace;
        for wanted in Scan::FILES {
            let of_kind = files
                .iter()
                .zip(&titled)
                .filter(|(_, titled)| titled.stem == wanted);
            for ((file, dialect, _), titled) in of_kind {
                if let Some(scan) = Scan::bind(wanted, &titled.header) {
                    rows::for_each(file, *dialect, &titled.header, &mut |row| {
                        index.add(&scan, row).map_err(too_many_visits)
                    })?;
                }
            }
        }
        let bases = plan.tables.iter().map(|table| {
            stored
                .highest
                .get(table.name.as_str())
                .copied()
                .unwrap_or(0)
        });
        let bases = bases.collect();
        let mut reader = Self {
            targets: plan.tables.iter().map(target).collect(),
            inputs: Vec::with_capacity(files.len()),
            parts: Vec::with_capacity(files.len()),
            index,
            vocabulary,
            bases,
            replace: options.replace,
            derived: Vec::new(),
            findings,
            plan,
        };
        for ((file, dialect, part), titled) in files.into_iter().zip(titled) {
            reader.add_input(file, dialect, part, titled);
        }
        reader.place_derived();
        Ok(reader)
    }

    fn add_input(&mut self, file: SourceFile, dialect: Dialect, part: usize, titled: Titled) {
        let Some(plan) = self.plan.files.get(self.inputs.len()) else {
            return;
        };
        for column in &plan.left_out {
            let column = plan.header.name(*column);
            self.findings.push(Finding::new(
                &file.name,
                Some(column),
                FindingKind::Identifier,
                1,
            ));
        }
        let home = plan.targets.first().map_or(0, |target| target.table);
        if self
            .plan
            .tables
            .get(home)
            .is_some_and(|table| table.model.is_none())
            && part == 0
        {
            self.findings.push(Finding::new(
                &self.targets[home].spec.name,
                None,
                FindingKind::ExtraTable,
                1,
            ));
        }
        self.inputs.push(Input {
            file,
            table: titled.stem,
            home,
            dialect: Some(dialect),
            numbered: true,
        });
        self.parts.push(part);
    }

    /// Tables without a file of their own come with the first block of one that they are derived from.
    fn place_derived(&mut self) {
        let first = |wanted: &str| self.inputs.iter().position(|input| input.table == wanted);
        let owners = [
            (
                LOCATION,
                first("patients").or_else(|| first("organizations")),
            ),
            (OBSERVATION_PERIOD, first("encounters")),
        ];
        for (name, owner) in owners {
            if let (Some(table), Some(input)) = (self.plan.table(name), owner) {
                self.derived.push((table, input));
            }
        }
    }

    fn mapped(&self, input: usize, mapped: Mapped) -> Decoded {
        let file = &self.inputs[input].file.name;
        let header = &self.plan.files[input].header;
        let mut findings: Vec<Finding> = Vec::new();
        for (at, count) in &mapped.notes.unresolved {
            findings.push(Finding::new(
                file,
                Some(header.name(*at)),
                FindingKind::UnknownReference,
                *count,
            ));
        }
        if mapped.notes.withheld > 0 {
            findings.push(Finding::new(
                file,
                Some("VALUE"),
                FindingKind::Identifier,
                mapped.notes.withheld,
            ));
        }
        let rows = mapped.batches.into_iter().map(|(table, batch)| TargetRows {
            target: table,
            batch,
            derived: mapped.beside.contains(&table),
        });
        Decoded {
            read: mapped.read,
            rows: rows.collect(),
            rejects: mapped.rejects,
            findings,
        }
    }

    fn derive(&self, table: usize) -> Result<RecordBatch> {
        let plan = &self.plan.tables[table];
        if plan.name == LOCATION {
            self.locations(plan)
        } else {
            self.periods(table, plan)
        }
    }

    fn locations(&self, table: &TablePlan) -> Result<RecordBatch> {
        let added = self.index.locations.added();
        let part = |at: usize| -> ArrayRef {
            let parts = added
                .iter()
                .map(|location| location.parts.get(at).filter(|part| !part.is_empty()));
            Arc::new(parts.collect::<StringArray>())
        };
        let ids: Int64Array = added.iter().map(|location| Some(location.id)).collect();
        let sources: StringArray = added
            .iter()
            .map(|location| Some(location.source_value()))
            .collect();
        let filled: [(&str, ArrayRef); 6] = [
            ("location_id", Arc::new(ids)),
            ("city", part(0)),
            ("state", part(1)),
            ("county", part(2)),
            ("zip", part(3)),
            ("location_source_value", Arc::new(sources)),
        ];
        batch(table, added.len(), &filled)
    }

    /// One period per person, from the first encounter's first day to the last day of any.
    fn periods(&self, at: usize, table: &TablePlan) -> Result<RecordBatch> {
        let base = self.bases.get(at).copied().unwrap_or(0);
        let (mut ids, mut persons, mut starts, mut ends) = (vec![], vec![], vec![], vec![]);
        for (id, (person, start, end)) in (base + 1..).zip(self.index.periods()) {
            ids.push(id);
            persons.push(person);
            starts.push(start);
            ends.push(end);
        }
        let rows = ids.len();
        let filled: [(&str, ArrayRef); 5] = [
            ("observation_period_id", Arc::new(Int64Array::from(ids))),
            ("person_id", Arc::new(Int64Array::from(persons))),
            (
                "observation_period_start_date",
                Arc::new(Date32Array::from(starts)),
            ),
            (
                "observation_period_end_date",
                Arc::new(Date32Array::from(ends)),
            ),
            (
                "period_type_concept_id",
                Arc::new(Int64Array::from(vec![TYPE_DERIVED; rows])),
            ),
        ];
        batch(table, rows, &filled)
    }
}

/// A batch of a table, with NULL in the columns that are not filled.
fn batch(table: &TablePlan, rows: usize, filled: &[(&str, ArrayRef)]) -> Result<RecordBatch> {
    let columns = table.columns.iter().map(|column| {
        let found = filled.iter().find(|(name, _)| *name == column.name);
        found.map_or_else(
            || new_null_array(&column.data_type.arrow(), rows),
            |(_, array)| Arc::clone(array),
        )
    });
    RecordBatch::try_new(Arc::new(table.schema()), columns.collect())
        .map_err(|error| Error::arrow(&table.name, error))
}

fn target(table: &TablePlan) -> Target {
    let own = table.model.map_or(0, |model| model.columns.len());
    let spec = table.spec();
    // A kept table is ordered by person and date.
    let kept_date = spec
        .sort
        .iter()
        .filter(|_| table.model.is_none())
        .nth(1)
        .cloned();
    Target {
        start_date: table
            .model
            .and_then(|model| model.start_date)
            .map(str::to_owned)
            .or(kept_date),
        end_date: table
            .model
            .and_then(|model| model.end_date)
            .map(str::to_owned),
        extra_columns: table
            .columns
            .iter()
            .skip(own)
            .map(|column| column.name.clone())
            .collect(),
        missing_columns: Vec::new(),
        def: table.model,
        spec,
    }
}

impl Reader for SyntheaReader {
    fn format(&self) -> String {
        "Synthea CSV".to_owned()
    }

    fn targets(&self) -> &[Target] {
        &self.targets
    }

    fn inputs(&self) -> &[Input] {
        &self.inputs
    }

    fn findings(&self) -> Vec<Finding> {
        self.findings.clone()
    }

    fn decode(&self, input: usize, block: &Block) -> Result<Decoded> {
        let (Block::Text(block), Some(file), Some(given)) =
            (block, self.plan.files.get(input), self.inputs.get(input))
        else {
            return Err(Error::engine(
                "a block of a Synthea export that is not text",
            ));
        };
        let context = Context {
            index: &self.index,
            vocabulary: self.vocabulary.as_deref(),
            replace: self.replace,
        };
        let delimiter = given.dialect.map_or(b',', |dialect| dialect.delimiter);
        let part = self.parts.get(input).copied().unwrap_or(0);
        let mapper = BlockMapper {
            plan: &self.plan,
            file,
            delimiter,
            context,
            bases: &self.bases,
            part,
        };
        let mut decoded = self.mapped(input, mapper.map(block)?);
        if block.record == 0 {
            for (table, _) in self.derived.iter().filter(|(_, owner)| *owner == input) {
                decoded.rows.push(TargetRows {
                    target: *table,
                    batch: self.derive(*table)?,
                    derived: true,
                });
            }
        }
        Ok(decoded)
    }
}
