//! The files of a delivery and the tables that they fill, before any row is read.

use std::collections::{BTreeMap, BTreeSet};

use arrow::datatypes::{Field, Schema};
use columna_model::{ColumnType, TableDef, table};
use columna_store::TableSpec;

use super::MAPPINGS;
use super::bind::{Bound, BoundRoute};
use super::header::Header;
use super::identifiers::is_identifier;
use super::kept::{kept_columns, kept_name};
use super::mapping::{Entity, FileMapping, Rule, Target};
use crate::{Error, Result};

/// Tables that are filled from the index: they have no file of their own.
pub(super) const LOCATION: &str = "location";
/// The time between a person's first and last encounter.
pub(super) const OBSERVATION_PERIOD: &str = "observation_period";

/// A file of the source, by its header.
#[derive(Debug, Clone)]
pub(super) struct Titled {
    /// Its name without the ending, in lower case.
    pub(super) stem: String,
    /// Its name as it stands in the source, for messages.
    pub(super) name: String,
    pub(super) header: Header,
}

/// What a delivery's files become.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) tables: Vec<TablePlan>,
    /// In the order of the files given.
    pub(super) files: Vec<FilePlan>,
}

/// A table to be filled.
#[derive(Debug)]
pub(super) struct TablePlan {
    pub(super) name: String,
    pub(super) model: Option<&'static TableDef>,
    pub(super) columns: Vec<ColumnPlan>,
}

/// A column of a table to be filled.
#[derive(Debug, Clone)]
pub(super) struct ColumnPlan {
    pub(super) name: String,
    pub(super) data_type: ColumnType,
    /// Whether rows without it are refused: those of no person. What else is missing is stored, and reported.
    pub(super) key: bool,
    /// Whether the specification requires it, so that a file without its source is not what it is taken for.
    pub(super) required: bool,
}

/// A file and the tables it fills.
#[derive(Debug)]
pub(super) struct FilePlan {
    pub(super) header: Header,
    pub(super) defines: Option<Entity>,
    pub(super) route: BoundRoute,
    pub(super) targets: Vec<TargetPlan>,
    pub(super) domains: Vec<&'static str>,
    pub(super) beside: Vec<TargetPlan>,
    /// Columns that identify a person directly.
    pub(super) left_out: Vec<usize>,
}

/// A table that a file's rows go to.
#[derive(Debug)]
pub(super) struct TargetPlan {
    /// Its position in [`Plan::tables`].
    pub(super) table: usize,
    /// Only rows with a value here.
    pub(super) when: Option<usize>,
    /// A rule for each column of the table.
    pub(super) rules: Vec<Bound>,
    /// Keys are `(number of the row * lanes) + lane`, so that files that fill one table never meet.
    pub(super) lane: i64,
    pub(super) lanes: i64,
}

impl Plan {
    pub(super) fn new(sources: &[Titled]) -> Result<Self> {
        let mut tables = Tables::default();
        // Columns first: what one file adds to a table, rows of other files have too, as NULL.
        for source in sources {
            match mapping(&source.stem) {
                Some(mapping) => tables.add_mapped(mapping, source),
                None => tables.add_kept(source),
            }
        }
        let has = |stem: &str| sources.iter().any(|source| source.stem == stem);
        if has("patients") || has("organizations") {
            tables.add_model(LOCATION);
        }
        if has("encounters") {
            tables.add_model(OBSERVATION_PERIOD);
        }
        let files = sources
            .iter()
            .map(|source| tables.file(source))
            .collect::<Result<_>>()?;
        Ok(Self {
            tables: tables.plans,
            files,
        })
    }

    /// The position of a table.
    pub(super) fn table(&self, name: &str) -> Option<usize> {
        self.tables.iter().position(|table| table.name == name)
    }
}

impl TablePlan {
    /// The Arrow schema of its batches.
    pub(super) fn schema(&self) -> Schema {
        let field =
            |column: &ColumnPlan| Field::new(&column.name, column.data_type.arrow(), !column.key);
        Schema::new(self.columns.iter().map(field).collect::<Vec<_>>())
    }

    /// What the store keeps.
    pub(super) fn spec(&self) -> TableSpec {
        if let Some(model) = self.model {
            return TableSpec {
                schema: self.schema().into(),
                ..TableSpec::from_model(model)
            };
        }
        let has = |name: &str| self.columns.iter().any(|column| column.name == name);
        let owned = |names: &[&str]| {
            names
                .iter()
                .filter(|name| has(name))
                .map(|name| (*name).to_owned())
                .collect()
        };
        let moment = self
            .columns
            .iter()
            .find(|column| column.data_type == ColumnType::DateTime);
        let mut sort: Vec<String> = owned(&["person_id"]);
        sort.extend(moment.map(|column| column.name.clone()));
        sort.extend(owned(&["id"]));
        TableSpec {
            name: self.name.clone(),
            schema: self.schema().into(),
            person_key: has("person_id").then(|| "person_id".to_owned()),
            sort,
            bloom: owned(&["person_id"]),
        }
    }
}

/// The mapping of a file, by its name.
pub(super) fn mapping(stem: &str) -> Option<&'static FileMapping> {
    MAPPINGS.iter().find(|mapping| mapping.file == stem)
}

/// The targets that fill a table, by the files and their order.
fn lanes(name: &str) -> impl Iterator<Item = (&'static str, &'static Target)> + '_ {
    MAPPINGS.iter().flat_map(move |mapping| {
        let targets = mapping.targets.iter().chain(mapping.beside);
        targets
            .filter(move |target| target.table == name)
            .map(|target| (mapping.file, target))
    })
}

/// The tables of a plan in the making.
#[derive(Debug, Default)]
struct Tables {
    plans: Vec<TablePlan>,
    by_name: BTreeMap<String, usize>,
}

impl Tables {
    fn add(
        &mut self,
        name: &str,
        model: Option<&'static TableDef>,
        columns: Vec<ColumnPlan>,
    ) -> &mut TablePlan {
        let at = *self.by_name.entry(name.to_owned()).or_insert_with(|| {
            self.plans.push(TablePlan {
                name: name.to_owned(),
                model,
                columns,
            });
            self.plans.len() - 1
        });
        &mut self.plans[at]
    }

    fn add_model(&mut self, name: &str) -> Option<&mut TablePlan> {
        let model = table(name)?;
        let columns = model.columns.iter().map(|column| ColumnPlan {
            name: column.name.to_owned(),
            data_type: column.data_type,
            key: model.person_key == Some(column.name),
            required: column.required,
        });
        Some(self.add(name, Some(model), columns.collect()))
    }

    fn add_mapped(&mut self, mapping: &FileMapping, source: &Titled) {
        for target in mapping
            .beside
            .iter()
            .filter(|target| is_filled(target, &source.header))
        {
            self.add_model(target.table);
        }
        for target in mapping.targets {
            let extra = extra_columns(mapping, target, source);
            let Some(plan) = self.add_model(target.table) else {
                continue;
            };
            for (_, name) in extra {
                if !plan.columns.iter().any(|column| column.name == name) {
                    plan.columns.push(ColumnPlan {
                        name,
                        data_type: ColumnType::Text,
                        key: false,
                        required: false,
                    });
                }
            }
        }
    }

    fn add_kept(&mut self, source: &Titled) {
        let columns = kept_columns(&source.stem, &source.header)
            .into_iter()
            .map(|column| ColumnPlan {
                name: column.name,
                data_type: column.data_type,
                key: column.key,
                required: false,
            });
        let columns: Vec<ColumnPlan> = columns.collect();
        let plan = self.add(&kept_name(&source.stem), None, columns.clone());
        for column in columns {
            if !plan.columns.iter().any(|known| known.name == column.name) {
                plan.columns.push(column);
            }
        }
    }

    fn file(&self, source: &Titled) -> Result<FilePlan> {
        let header = source.header.clone();
        let names = header.names().iter().enumerate();
        let left_out = names
            .filter(|(_, name)| is_identifier(&source.stem, name))
            .map(|(at, _)| at)
            .collect();
        let Some(mapping) = mapping(&source.stem) else {
            return Ok(FilePlan {
                defines: None,
                route: BoundRoute::Only,
                targets: self.kept_target(source).into_iter().collect(),
                domains: vec![""],
                beside: vec![],
                left_out,
                header,
            });
        };
        let targets = mapping
            .targets
            .iter()
            .map(|target| self.target(mapping, target, source));
        let beside = mapping
            .beside
            .iter()
            .filter(|target| is_filled(target, &header));
        let beside = beside.map(|target| self.target(mapping, target, source));
        Ok(FilePlan {
            defines: mapping.defines,
            route: BoundRoute::bind(mapping.route, &header),
            targets: targets.collect::<Result<_>>()?,
            domains: mapping.targets.iter().map(|target| target.domain).collect(),
            beside: beside.collect::<Result<_>>()?,
            left_out,
            header,
        })
    }

    fn kept_target(&self, source: &Titled) -> Option<TargetPlan> {
        let table = *self.by_name.get(&kept_name(&source.stem))?;
        let mut kept = kept_columns(&source.stem, &source.header);
        let rules = self.plans[table].columns.iter().map(|column| {
            let at = kept.iter().position(|kept| kept.name == column.name);
            at.map_or(Bound::Null, |at| kept.swap_remove(at).rule)
        });
        Some(TargetPlan {
            table,
            when: None,
            rules: rules.collect(),
            lane: 0,
            lanes: 1,
        })
    }

    fn target(
        &self,
        mapping: &FileMapping,
        target: &Target,
        source: &Titled,
    ) -> Result<TargetPlan> {
        let unknown = || Error::engine(format!("Synthea's {} is mapped to no table", mapping.file));
        let table = *self.by_name.get(target.table).ok_or_else(unknown)?;
        let mut rules = vec![Bound::Null; self.plans[table].columns.len()];
        let at = |name: &str| {
            self.plans[table]
                .columns
                .iter()
                .position(|column| column.name == name)
        };
        for (name, rule) in target.cells {
            let at = at(name).ok_or_else(unknown)?;
            match rule.bind(&source.header) {
                Some(bound) => rules[at] = bound,
                None if self.plans[table].columns[at].required => {
                    return Err(missing(source, *rule));
                }
                None => {}
            }
        }
        if mapping
            .targets
            .iter()
            .any(|main| std::ptr::eq(main, target))
        {
            for (cell, name) in extra_columns(mapping, target, source) {
                if let Some(at) = at(&name) {
                    rules[at] = Bound::Cell(cell);
                }
            }
        }
        let lane = lanes(target.table)
            .position(|(file, other)| file == mapping.file && std::ptr::eq(other, target));
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        Ok(TargetPlan {
            table,
            when: target
                .when
                .and_then(|column| source.header.position(column)),
            rules,
            lane: number(lane.ok_or_else(unknown)?),
            lanes: number(lanes(target.table).count()),
        })
    }
}

/// Whether a file has the column that a target beside its rows depends on.
fn is_filled(target: &Target, header: &Header) -> bool {
    target
        .when
        .is_none_or(|column| header.position(column).is_some())
}

fn missing(source: &Titled, rule: Rule) -> Error {
    let column = rule
        .columns()
        .first()
        .map_or("", |names| names.split('|').next().unwrap_or(names));
    Error::bad_file(
        &source.name,
        format!("column `{column}` is missing: Synthea's CSV export has it; export the file again"),
    )
}

/// The columns of a file that the target's own columns do not tell, with the names under which it keeps them.
fn extra_columns(mapping: &FileMapping, target: &Target, source: &Titled) -> Vec<(usize, String)> {
    let rules = target
        .cells
        .iter()
        .chain(mapping.beside.iter().flat_map(|beside| beside.cells));
    let stored = rules.flat_map(|(_, rule)| rule.stored_columns());
    let stored: BTreeSet<usize> = stored
        .filter_map(|column| source.header.position(column))
        .collect();
    let mut names = BTreeSet::new();
    let columns = source.header.names().iter().enumerate();
    let kept = columns.filter(|(at, name)| {
        let is_data = !name.is_empty() && !is_identifier(&source.stem, name);
        is_data && !stored.contains(at) && names.insert(name.to_ascii_lowercase())
    });
    kept.map(|(at, name)| (at, kept_name(name))).collect()
}
