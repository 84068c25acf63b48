//! What a table and a column of the model are.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};

/// The type of a column, as the specification distinguishes them.
///
/// Lengths of `varchar` columns are not kept: a value longer than the specification allows is still
/// what the hospital recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ColumnType {
    /// An identifier of a record, a person or a concept.
    BigInt,
    /// Any other whole number: a year, a count, days of supply.
    Integer,
    /// A decimal number.
    Float,
    /// Text of any length.
    Text,
    /// A day.
    Date,
    /// A day with a time, without a time zone.
    DateTime,
}

impl ColumnType {
    /// The Arrow type that holds the column.
    #[must_use]
    pub fn arrow(self) -> DataType {
        match self {
            Self::BigInt => DataType::Int64,
            Self::Integer => DataType::Int32,
            Self::Float => DataType::Float64,
            Self::Text => DataType::Utf8,
            Self::Date => DataType::Date32,
            Self::DateTime => DataType::Timestamp(TimeUnit::Microsecond, None),
        }
    }
}

/// What a column may give away about a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IdentifierClass {
    /// Names one person (a patient or a clinician) by itself: person key, record or encounter number, address,
    /// device serial number.
    Direct,
    /// Narrows down who it is together with others: sex, year of birth, postal code, care site.
    Quasi,
    /// A day or a time in a person's life.
    Date,
    /// Text that somebody typed, which may hold anything.
    FreeText,
    /// A code, a concept, or the key of a record that is not a person.
    Code,
    /// A quantity, or a fact that is about no person.
    Value,
}

/// The group of the specification that a table belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TableKind {
    /// Persons and what happened to them.
    Clinical,
    /// Places and clinicians.
    HealthSystem,
    /// Insurance and costs.
    Economic,
    /// Derived from the clinical tables.
    Derived,
    /// About the data set itself.
    Metadata,
    /// The standardized vocabulary.
    Vocabulary,
    /// Cohorts.
    Results,
}

/// A column of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ColumnDef {
    /// The name, in lower case.
    pub name: &'static str,
    /// The type.
    pub data_type: ColumnType,
    /// Whether every row must have a value.
    pub required: bool,
    /// Whether this column alone is the table's primary key.
    pub primary_key: bool,
    /// What the column may give away about a person.
    pub class: IdentifierClass,
    /// The table and column that this one refers to.
    pub foreign_key: Option<(&'static str, &'static str)>,
}

impl ColumnDef {
    /// The Arrow field of the column.
    #[must_use]
    pub fn field(&self) -> Field {
        Field::new(self.name, self.data_type.arrow(), !self.required)
    }

    /// Whether the column holds concepts of the vocabulary.
    #[must_use]
    pub fn is_concept(&self) -> bool {
        self.foreign_key == Some(("concept", "concept_id"))
            || (self.primary_key && self.name == "concept_id")
    }
}

/// A table of the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableDef {
    /// The name, in lower case.
    pub name: &'static str,
    /// The group of the specification.
    pub kind: TableKind,
    /// The columns, in the specification's order.
    pub columns: &'static [ColumnDef],
    /// The column that holds the person, where rows belong to one.
    pub person_key: Option<&'static str>,
    /// For rows that belong to a person only through another record: the column, and the table it refers to.
    pub person_through: Option<(&'static str, &'static str)>,
    /// The day a row starts, or the only day it has.
    pub start_date: Option<&'static str>,
    /// The day a row ends, itself included.
    pub end_date: Option<&'static str>,
    /// The domain of the standard concepts that the table holds.
    pub domain: Option<&'static str>,
    /// The standard concept that says what a row is about.
    pub concept: Option<&'static str>,
    /// Without a person key: the columns by which rows are looked up, most selective order first.
    pub lookup: &'static [&'static str],
}

impl TableDef {
    pub(crate) const fn new(name: &'static str, kind: TableKind) -> Self {
        Self {
            name,
            kind,
            columns: &[],
            person_key: None,
            person_through: None,
            start_date: None,
            end_date: None,
            domain: None,
            concept: None,
            lookup: &[],
        }
    }

    pub(crate) const fn person(mut self, column: &'static str) -> Self {
        self.person_key = Some(column);
        self
    }

    pub(crate) const fn person_through(
        mut self,
        column: &'static str,
        table: &'static str,
    ) -> Self {
        self.person_through = Some((column, table));
        self
    }

    /// Rows happen on one day.
    pub(crate) const fn on(mut self, date: &'static str) -> Self {
        self.start_date = Some(date);
        self
    }

    /// Rows last from one day to another.
    pub(crate) const fn spans(mut self, start: &'static str, end: &'static str) -> Self {
        self.start_date = Some(start);
        self.end_date = Some(end);
        self
    }

    pub(crate) const fn coded(mut self, concept: &'static str) -> Self {
        self.concept = Some(concept);
        self
    }

    pub(crate) const fn domain(mut self, domain: &'static str) -> Self {
        self.domain = Some(domain);
        self
    }

    pub(crate) const fn looked_up_by(mut self, columns: &'static [&'static str]) -> Self {
        self.lookup = columns;
        self
    }

    pub(crate) const fn columns(mut self, columns: &'static [ColumnDef]) -> Self {
        self.columns = columns;
        self
    }

    /// The Arrow schema: required columns are not nullable.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        let fields: Vec<Field> = self.columns.iter().map(ColumnDef::field).collect();
        Arc::new(Schema::new(fields))
    }

    /// A column by its name, in any case.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&'static ColumnDef> {
        self.columns
            .iter()
            .find(|column| column.name.eq_ignore_ascii_case(name))
    }

    /// The single column that is the primary key, where the specification names one.
    #[must_use]
    pub fn primary_key(&self) -> Option<&'static str> {
        let column = self.columns.iter().find(|column| column.primary_key)?;
        Some(column.name)
    }

    /// The columns that hold a day with a time.
    pub fn datetimes(&self) -> impl Iterator<Item = &'static ColumnDef> {
        self.columns
            .iter()
            .filter(|column| column.data_type == ColumnType::DateTime)
    }

    /// The column with the time of [`TableDef::start_date`].
    #[must_use]
    pub fn start_datetime(&self) -> Option<&'static str> {
        self.datetime_of(self.start_date?)
    }

    /// The column with the time of [`TableDef::end_date`].
    #[must_use]
    pub fn end_datetime(&self) -> Option<&'static str> {
        self.datetime_of(self.end_date?)
    }

    /// The column with the time of a date column: `x_datetime` for `x_date`.
    #[must_use]
    pub fn datetime_of(&self, date: &str) -> Option<&'static str> {
        let stem = date.strip_suffix("_date")?;
        let column = self
            .datetimes()
            .find(|column| column.name.strip_suffix("_datetime") == Some(stem))?;
        Some(column.name)
    }

    /// The order rows are stored in: person, start date and primary key, or the look-up columns where there is no person.
    #[must_use]
    pub fn sort_columns(&self) -> Vec<&'static str> {
        let key = self.primary_key();
        if self.person_key.is_none() && !self.lookup.is_empty() {
            let rest = key.filter(|key| !self.lookup.contains(key));
            return self.lookup.iter().copied().chain(rest).collect();
        }
        let key = key.filter(|_| self.primary_key() != self.person_key);
        [self.person_key, self.start_date, key]
            .into_iter()
            .flatten()
            .collect()
    }

    /// The columns worth a bloom filter: those by which a few rows are picked out of many.
    #[must_use]
    pub fn bloom_columns(&self) -> Vec<&'static str> {
        let picked = [self.person_key, self.concept];
        if picked.iter().all(Option::is_none) {
            let lookup = self.lookup.iter().copied();
            return match self.primary_key() {
                Some(key) if self.lookup.is_empty() => vec![key],
                _ => lookup.collect(),
            };
        }
        picked.into_iter().flatten().collect()
    }
}
