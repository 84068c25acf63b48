//! The tables that a source's files become, and how each file's columns get there.

use std::collections::BTreeMap;

use arrow::datatypes::{DataType, Field, Schema};
use columna_model::{CdmVersion, TableDef, detect_version, table_in};
use columna_store::{Snapshot, TableSpec};
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use std::sync::Arc;

use super::columnar::{Columnar, ColumnarColumn, kept_type};
use super::header::{self, Form, Header, known_column};
use super::infer::{Guess, guess_block};
use super::{InputDecoder, OmopReader};
use crate::csv::{CellType, Column, Decoder, Dialect, TextBlocks};
use crate::files::{Text, cannot_read};
use crate::findings::{Finding, FindingKind};
use crate::near;
use crate::options::IngestOptions;
use crate::reader::{Input, Target};
use crate::source::{Encoding, Source, SourceFile, SourceTable};
use crate::{Error, Result};

/// Columns that make a table of its own one of persons, if they hold integers.
const PERSON_KEYS: [&str; 2] = ["person_id", "subject_id"];

pub(super) fn open(
    source: &Source,
    stored: &Snapshot,
    options: &IngestOptions,
) -> Result<OmopReader> {
    let mut tables: Vec<(&SourceTable, Vec<Header>)> = Vec::with_capacity(source.tables.len());
    for table in &source.tables {
        let headers: Result<_> = table
            .files
            .iter()
            .map(|file| header::read(&table.name, file))
            .collect();
        tables.push((table, headers?));
    }
    let version = version_of(&tables);
    let mut reader = OmopReader {
        version,
        targets: Vec::new(),
        inputs: Vec::new(),
        decoders: Vec::new(),
        findings: Vec::new(),
    };
    for (table, headers) in &tables {
        reader.findings.extend(
            headers
                .iter()
                .flat_map(|header| header.findings.iter().cloned()),
        );
        let def = table_in(version, &table.name).or_else(|| other_version(&table.name));
        if def.is_none()
            && headers
                .iter()
                .all(|header| matches!(header.form, Form::Empty))
        {
            continue;
        }
        let plan = TablePlan {
            table,
            headers,
            def,
            near: match def.is_some() || stored.table(&table.name).is_some() {
                true => None,
                false => near::table(&table.name, |name| source.table(name).is_some()),
            },
            stored: stored.table(&table.name).map(|version| &version.spec),
            options,
        };
        plan.add_to(&mut reader)?;
    }
    if reader.targets.is_empty() {
        return Err(Error::NothingToRead {
            path: source.path.display().to_string(),
            hint: "all of its files are empty".to_owned(),
        });
    }
    Ok(reader)
}

fn other_version(table: &str) -> Option<&'static TableDef> {
    CdmVersion::ALL
        .into_iter()
        .find_map(|version| table_in(version, table))
}

/// The version that the columns speak for; 5.4 where they fit both.
fn version_of(tables: &[(&SourceTable, Vec<Header>)]) -> CdmVersion {
    let names: Vec<(&str, Vec<&String>)> = tables
        .iter()
        .map(|(table, headers)| {
            (
                table.name.as_str(),
                headers.iter().flat_map(|header| &header.names).collect(),
            )
        })
        .collect();
    detect_version(&names).unwrap_or(CdmVersion::V5_4)
}

/// One table on its way to a target.
struct TablePlan<'a> {
    table: &'a SourceTable,
    headers: &'a [Header],
    def: Option<&'static TableDef>,
    /// The table of the model, not in the source, that an unknown one may be meant to be.
    near: Option<&'static str>,
    stored: Option<&'a TableSpec>,
    options: &'a IngestOptions,
}

impl TablePlan<'_> {
    fn add_to(&self, reader: &mut OmopReader) -> Result<()> {
        let extra = self.extra_columns()?;
        let spec = self.spec(&extra)?;
        let home = reader.targets.len();
        for (file, header) in self.table.files.iter().zip(self.headers) {
            let (decoder, dialect) = self.decoder(file, header, &spec)?;
            reader.decoders.push(decoder);
            reader.inputs.push(Input {
                file: file.clone(),
                table: self.table.name.clone(),
                home,
                dialect,
                numbered: false,
            });
        }
        let missing_columns = self.missing_columns();
        for column in &missing_columns {
            let mut finding = Finding::new(
                &self.table.name,
                Some(column),
                FindingKind::MissingColumn,
                1,
            );
            finding.detail += &self.meant(column, self.headers);
            reader.findings.push(finding);
        }
        let dates: Vec<String> = match self.def {
            Some(_) => Vec::new(),
            None => {
                reader.findings.push(self.extra_table());
                spec.sort.iter().skip(1).cloned().collect()
            }
        };
        let date = |of_model: Option<&str>, at: usize| {
            of_model
                .map(str::to_owned)
                .or_else(|| dates.get(at).cloned())
        };
        reader.targets.push(Target {
            start_date: date(self.def.and_then(|def| def.start_date), 0),
            end_date: date(self.def.and_then(|def| def.end_date), 1),
            extra_columns: extra.into_iter().map(|(name, _)| name).collect(),
            missing_columns,
            def: self.def,
            spec,
        });
        Ok(())
    }

    /// What is said beside a column that is not there: which unknown one may be meant to be it. Empty where none is.
    fn meant(&self, column: &str, headers: &[Header]) -> String {
        let names = headers.iter().flat_map(|header| &header.names);
        let unknown = names
            .map(String::as_str)
            .filter(|name| known_column(&self.table.name, name).is_none());
        near::column(column, unknown).map_or_else(String::new, |name| {
            format!("; `{name}` is no column of the model: did you mean `{column}`?")
        })
    }

    /// The finding of a table that the model does not have, and which one may be meant, where one is near.
    fn extra_table(&self) -> Finding {
        let mut finding = Finding::new(&self.table.name, None, FindingKind::ExtraTable, 1);
        if let (Some(near), Some(file)) = (self.near, self.table.files.first()) {
            let name = file.name.to_lowercase();
            let ending = name.strip_prefix(&self.table.name).unwrap_or("/");
            let ending = if ending.starts_with('.') { ending } else { "/" };
            finding.detail += &format!("; did you mean `{near}{ending}`?");
        }
        finding
    }

    /// Required columns that no file of the table has. A table without any row misses nothing that matters.
    fn missing_columns(&self) -> Vec<String> {
        let columns = self.def.map_or(&[][..], |def| def.columns);
        let has = |name: &str| {
            self.headers
                .iter()
                .any(|header| header.names.iter().any(|given| given == name))
        };
        let all_empty = self
            .headers
            .iter()
            .all(|header| matches!(header.form, Form::Empty));
        let missing = columns
            .iter()
            .filter(|column| column.required && !has(column.name));
        if all_empty {
            Vec::new()
        } else {
            missing.map(|column| column.name.to_owned()).collect()
        }
    }

    /// Names and types of the columns that the model does not have, in the order in which they first stand in a file.
    fn extra_columns(&self) -> Result<Vec<(String, DataType)>> {
        let of_model = |name: &str| self.def.is_some_and(|def| def.column(name).is_some());
        let mut names: Vec<&String> = Vec::new();
        for name in self.headers.iter().flat_map(|header| &header.names) {
            if !of_model(name) && !names.contains(&name) {
                names.push(name);
            }
        }
        // What another version or an earlier delivery says about a column is known; the rest must be looked at.
        let known = |name: &str| {
            let stored = self
                .stored
                .and_then(|spec| spec.schema.field_with_name(name).ok());
            let stored = stored.map(|field| field.data_type().clone());
            stored.or_else(|| {
                known_column(&self.table.name, name).map(|column| column.data_type.arrow())
            })
        };
        let mut types: BTreeMap<&String, DataType> = names
            .iter()
            .filter_map(|name| Some((*name, known(name)?)))
            .collect();
        let unknown: Vec<&String> = names
            .iter()
            .copied()
            .filter(|name| !types.contains_key(name))
            .collect();
        if !unknown.is_empty() {
            for (name, data_type) in unknown.iter().zip(self.guess(&unknown)?) {
                types.insert(name, data_type);
            }
        }
        Ok(names
            .into_iter()
            .map(|name| {
                (
                    name.clone(),
                    types.get(name).cloned().unwrap_or(DataType::Utf8),
                )
            })
            .collect())
    }

    /// Types from every cell of every file.
    fn guess(&self, names: &[&String]) -> Result<Vec<DataType>> {
        let mut guesses = vec![Guess::Nothing; names.len()];
        let mut exact: Vec<Option<DataType>> = vec![None; names.len()];
        let mut is_exact = true;
        for (file, header) in self.table.files.iter().zip(self.headers) {
            let columns: Vec<(usize, usize)> = names
                .iter()
                .enumerate()
                .filter_map(|(at, name)| {
                    Some((at, header.names.iter().position(|given| given == *name)?))
                })
                .collect();
            if columns.is_empty() {
                continue;
            }
            let cells: Vec<usize> = columns.iter().map(|(_, cell)| *cell).collect();
            let found = match &header.form {
                Form::Empty => continue,
                Form::Columnar(schema) => {
                    let types: Vec<DataType> = cells
                        .iter()
                        .map(|cell| kept_type(schema.field(*cell).data_type()))
                        .collect();
                    for ((at, _), data_type) in columns.iter().zip(&types) {
                        is_exact &= exact[*at].as_ref().is_none_or(|known| known == data_type);
                        exact[*at] = Some(data_type.clone());
                    }
                    types.iter().map(Guess::of_type).collect()
                }
                Form::Text(dialect) => {
                    is_exact = false;
                    self.guess_text(file, *dialect, header.names.len(), &cells)?
                }
            };
            for ((at, _), guess) in columns.iter().zip(found) {
                guesses[*at] = guesses[*at].and(guess);
            }
        }
        // Parquet alone keeps types that text cannot have, such as decimals.
        let of = |(guess, exact): (Guess, Option<DataType>)| {
            exact
                .filter(|_| is_exact)
                .unwrap_or_else(|| guess.data_type())
        };
        Ok(guesses.into_iter().zip(exact).map(of).collect())
    }

    fn guess_text(
        &self,
        file: &SourceFile,
        dialect: Dialect,
        width: usize,
        cells: &[usize],
    ) -> Result<Vec<Guess>> {
        let Encoding::Text(compression) = file.encoding else {
            return Ok(vec![Guess::Nothing; cells.len()]);
        };
        let silent: Arc<dyn columna_model::progress::Progress> =
            Arc::new(columna_model::progress::Silent);
        let text = Text::open(file, compression, &silent)?;
        let mut blocks = TextBlocks::new(text, dialect, self.options.block_bytes(), false);
        let mut guesses = vec![Guess::Nothing; cells.len()];
        loop {
            let mut group = Vec::with_capacity(self.options.threads);
            while group.len() < self.options.threads
                && let Some(block) = blocks.next().map_err(|error| error.of_file(file))?
            {
                group.push(block);
            }
            if group.is_empty() {
                return Ok(guesses);
            }
            let found: Vec<Vec<Guess>> = group
                .par_iter()
                .map(|block| guess_block(&block.bytes, dialect.delimiter, width, cells))
                .collect();
            for found in found {
                for (guess, found) in guesses.iter_mut().zip(found) {
                    *guess = guess.and(found);
                }
            }
        }
    }

    fn spec(&self, extra: &[(String, DataType)]) -> Result<TableSpec> {
        let extra_fields = extra
            .iter()
            .map(|(name, data_type)| Field::new(name, data_type.clone(), true));
        if let Some(def) = self.def {
            if let Some(key) = def.person_key
                && let Some((file, header)) =
                    self.table
                        .files
                        .iter()
                        .zip(self.headers)
                        .find(|(_, header)| {
                            !matches!(header.form, Form::Empty)
                                && !header.names.iter().any(|name| name == key)
                        })
            {
                let what = format!(
                    "no column `{key}`: without it no row of table `{}` can be stored{}",
                    def.name,
                    self.meant(key, std::slice::from_ref(header))
                );
                return Err(Error::bad_file(&file.name, what));
            }
            let mut spec = TableSpec::from_model(def);
            // Only rows without a person are refused: everything else that is missing is stored, and reported.
            let fields = spec.schema.fields().iter().map(|field| {
                let is_key = spec.person_key.as_deref() == Some(field.name());
                field.as_ref().clone().with_nullable(!is_key)
            });
            spec.schema = Arc::new(Schema::new(fields.chain(extra_fields).collect::<Vec<_>>()));
            return Ok(spec);
        }
        let type_of = |name: &str| {
            extra
                .iter()
                .find(|(given, _)| given == name)
                .map(|(_, data_type)| data_type)
        };
        let found = PERSON_KEYS
            .into_iter()
            .find(|key| type_of(key) == Some(&DataType::Int64));
        let person_key = self
            .stored
            .map_or(found.map(str::to_owned), |spec| spec.person_key.clone());
        let sort = match (self.stored, &person_key) {
            (Some(stored), _) => stored.sort.clone(),
            (None, None) => Vec::new(),
            (None, Some(key)) => {
                let dates = extra.iter().filter(|(_, data_type)| {
                    *data_type == DataType::Date32 || matches!(data_type, DataType::Timestamp(..))
                });
                std::iter::once(key.clone())
                    .chain(dates.take(1).map(|(name, _)| name.clone()))
                    .collect()
            }
        };
        let fields = extra_fields.map(|field| {
            let is_key = person_key.as_deref() == Some(field.name());
            field.with_nullable(!is_key)
        });
        let mut fields: Vec<Field> = fields.collect();
        // Columns of the order that this delivery lacks are NULL in its rows.
        for name in &sort {
            if let Some(stored) = self.stored
                && !fields.iter().any(|field| field.name() == name)
                && let Ok(field) = stored.schema.field_with_name(name)
            {
                if person_key.as_deref() == Some(name) {
                    let what = format!(
                        "no column `{name}`, which table `{}` of the store is bound to persons by",
                        self.table.name
                    );
                    return Err(Error::bad_file(&self.table.files[0].name, what));
                }
                fields.push(field.clone().with_nullable(true));
            }
        }
        let schema = Arc::new(Schema::new(fields));
        Ok(TableSpec {
            name: self.table.name.clone(),
            schema,
            bloom: person_key.iter().cloned().collect(),
            person_key,
            sort,
        })
    }

    fn decoder(
        &self,
        file: &SourceFile,
        header: &Header,
        spec: &TableSpec,
    ) -> Result<(InputDecoder, Option<Dialect>)> {
        let position = |name: &str| header.names.iter().position(|given| given == name);
        let is_key = |name: &str| spec.person_key.as_deref() == Some(name);
        let person = spec.person_key.as_deref().and_then(position);
        match &header.form {
            Form::Empty => Ok((InputDecoder::Empty, None)),
            Form::Text(dialect) => {
                let mut columns = Vec::with_capacity(spec.schema.fields().len());
                for field in spec.schema.fields() {
                    let cell_type =
                        CellType::of(field.data_type()).ok_or_else(|| Error::ColumnType {
                            file: file.name.clone(),
                            table: spec.name.clone(),
                            column: field.name().clone(),
                            found: "text".to_owned(),
                            needed: field.data_type().to_string(),
                        })?;
                    columns.push(Column {
                        cell_type,
                        cell: position(field.name()),
                        key: is_key(field.name()),
                    });
                }
                let decoder = Decoder {
                    columns,
                    header: header.names.clone(),
                    delimiter: dialect.delimiter,
                    person,
                };
                Ok((InputDecoder::Text(decoder), Some(*dialect)))
            }
            Form::Columnar(schema) => {
                let mut columns = Vec::with_capacity(spec.schema.fields().len());
                for field in spec.schema.fields() {
                    let source = position(field.name());
                    let found = source.map(|at| schema.field(at).data_type());
                    if let Some(found) = found
                        .filter(|found| found.is_nested() && *field.data_type() != DataType::Utf8)
                    {
                        return Err(Error::ColumnType {
                            file: file.name.clone(),
                            table: spec.name.clone(),
                            column: field.name().clone(),
                            found: found.to_string(),
                            needed: field.data_type().to_string(),
                        });
                    }
                    columns.push(ColumnarColumn {
                        name: field.name().clone(),
                        source,
                        target: field.data_type().clone(),
                        key: is_key(field.name()),
                    });
                }
                Ok((InputDecoder::Columnar(Columnar { columns, person }), None))
            }
        }
    }
}

impl crate::csv::BlockError {
    /// The error as the user sees it.
    pub(crate) fn of_file(self, file: &SourceFile) -> Error {
        match self {
            Self::Read(error, lines) => cannot_read(file, &error, lines),
            Self::TooLong(line) => Error::bad_file(
                &file.name,
                format!("line {line} does not end within 256 MB: the file is not a table"),
            ),
        }
    }
}
