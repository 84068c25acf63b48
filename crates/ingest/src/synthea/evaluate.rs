//! A bound rule and a row give a value.

use std::borrow::Cow;
use std::collections::BTreeMap;

use columna_model::{ColumnType, Day};

use super::bind::{Bound, BoundCode, BoundRoute};
use super::header::Row;
use super::identifiers::asks_for_identifier;
use super::index::Index;
use super::mapping::{Edge, Entity, Part, Terms, Which};
use super::vocabulary::{Concepts, Vocabulary};
use crate::parse::{self, Fault};

/// A value of a target column.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value<'a> {
    Null,
    Integer(i64),
    Number(f64),
    Day(i32),
    Moment(i64),
    Text(Cow<'a, str>),
}

/// Why a row is not stored, and the column that it is because of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) column: Option<usize>,
    pub(super) reason: &'static str,
}

/// The reason of a row whose patient nobody knows.
pub(super) const NO_PATIENT: &str = "no such patient in patients.csv or the store";
/// The reason of a row whose own key is there already.
pub(super) const STORED_BEFORE: &str = "stored by an earlier delivery";

/// What all rows of a delivery share.
#[derive(Debug, Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) index: &'a Index,
    pub(super) vocabulary: Option<&'a Vocabulary>,
    /// Whether rows that an earlier delivery stored are stored again.
    pub(super) replace: bool,
}

/// A row on its way to its tables.
#[derive(Debug)]
pub(super) struct Evaluation<'a, 'c, 'n> {
    context: Context<'a>,
    row: Row<'a, 'c>,
    /// What this file's rows define.
    defines: Option<Entity>,
    /// The key for the target table.
    pub(super) next_id: i64,
    /// The row's person, once known.
    person: Option<i64>,
    /// Key and domain of the row that this one is beside.
    pub(super) event: (i64, &'static str),
    /// The concepts of the row's code, once looked up.
    concepts: Option<Concepts>,
    notes: &'n mut Notes,
}

/// What was noticed and is no reason to refuse a row.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// By column of the source: rows that refer to what was not delivered.
    pub(super) unresolved: BTreeMap<usize, u64>,
    /// Rows with an answer that is left out because it identifies a person.
    pub(super) withheld: u64,
    /// What was noticed in the row at hand, which may still be refused.
    pending: Vec<Note>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Note {
    Unresolved(usize),
    Withheld,
}

impl Notes {
    /// Forgets what was noticed in a row that was refused.
    pub(super) fn begin_row(&mut self) {
        self.pending.clear();
    }

    /// Counts what was noticed in the row, each once.
    pub(super) fn end_row(&mut self) {
        for note in self.pending.drain(..) {
            match note {
                Note::Unresolved(at) => *self.unresolved.entry(at).or_default() += 1,
                Note::Withheld => self.withheld += 1,
            }
        }
    }

    fn notice(&mut self, note: Note) {
        if !self.pending.contains(&note) {
            self.pending.push(note);
        }
    }
}

impl<'a, 'c, 'n> Evaluation<'a, 'c, 'n> {
    pub(super) fn new(
        context: Context<'a>,
        row: Row<'a, 'c>,
        defines: Option<Entity>,
        notes: &'n mut Notes,
    ) -> Self {
        Self {
            context,
            row,
            defines,
            next_id: 0,
            person: None,
            event: (0, ""),
            concepts: None,
            notes,
        }
    }

    /// The position of the target that the row goes to; `domains` are those of the targets.
    pub(super) fn target(&mut self, route: BoundRoute, domains: &[&'static str]) -> usize {
        let (code, fallback) = match route {
            BoundRoute::Only => return 0,
            BoundRoute::Domain(code) => (code, 0),
            BoundRoute::DomainOrType(code, kind) => {
                let numeric = match self.row.filled(kind) {
                    Some(kind) => kind.eq_ignore_ascii_case(b"numeric"),
                    None => false,
                };
                (code, usize::from(!numeric))
            }
        };
        let Some(domain) = self.concepts(code).domain else {
            return fallback;
        };
        domains
            .iter()
            .position(|name| *name == domain.name())
            .unwrap_or(fallback)
    }

    /// The value of a column of type `data_type`.
    pub(super) fn value(
        &mut self,
        rule: &Bound,
        data_type: ColumnType,
    ) -> Result<Value<'a>, Refusal> {
        let refuse = |reason| Refusal {
            column: rule.column(),
            reason,
        };
        let fault = |fault: Fault| refuse(fault.reason());
        Ok(match rule {
            Bound::Null => Value::Null,
            Bound::NextId => Value::Integer(self.next_id),
            Bound::Constant(value) => Value::Integer(*value),
            Bound::Ref(entity, at) => self.reference(*entity, *at)?,
            Bound::ProviderOfVisit(at) => {
                let visit = self
                    .row
                    .filled(Some(*at))
                    .and_then(|cell| self.context.index.visit(&cell));
                integer(visit.and_then(|visit| visit.provider))
            }
            Bound::Location(place) => integer(self.context.index.location(&self.row, place)),
            Bound::Cell(at) => convert(&self.row, *at, data_type).map_err(fault)?,
            Bound::CellOr(first, second) => match self.row.filled(Some(*first)) {
                Some(_) => convert(&self.row, *first, data_type).map_err(fault)?,
                None => convert(&self.row, *second, data_type).map_err(|fault| Refusal {
                    column: Some(*second),
                    reason: fault.reason(),
                })?,
            },
            Bound::Edge(at, edge) => self.edge(*at, *edge).map_err(fault)?,
            Bound::Part(at, part) => match self.day(*at).map_err(fault)? {
                Some(day) => Value::Integer(part_of(Day(day), *part)),
                None => Value::Null,
            },
            Bound::Days(from, to) => match (self.day(*from).map_err(fault)?, self.day(*to)) {
                (Some(from), Ok(Some(to))) => Value::Integer(i64::from(to) - i64::from(from)),
                (_, Err(fault)) => {
                    return Err(Refusal {
                        column: Some(*to),
                        reason: fault.reason(),
                    });
                }
                _ => Value::Null,
            },
            Bound::Listed(at, list) => {
                Value::Integer(listed(self.row.filled(Some(*at)).as_deref(), list))
            }
            Bound::Concept(which, code) => Value::Integer(pick(self.concepts(*code), *which)),
            Bound::Unit(at) => self.unit(*at),
            Bound::Number(at, kind) => self.number(*at, *kind).map_err(fault)?,
            Bound::Answer(at, code) => self.answer(*at, *code).map_err(fault)?,
            Bound::PayerName(at) => {
                let name = self
                    .row
                    .filled(Some(*at))
                    .and_then(|payer| self.context.index.payer(&payer));
                name.map_or(Value::Null, |name| Value::Text(Cow::Borrowed(name)))
            }
            Bound::CauseOfDeath => self
                .cause()
                .map_or(Value::Null, |code| Value::Text(Cow::Borrowed(code))),
            Bound::CauseConcept(which) => match self.cause() {
                Some(code) => {
                    Value::Integer(pick(self.look_up(Terms::Snomed, code.as_bytes()), *which))
                }
                None => Value::Null,
            },
            Bound::EventId => Value::Integer(self.event.0),
            Bound::EventDomain => Value::Text(Cow::Borrowed(self.event.1)),
        })
    }

    fn reference(&mut self, entity: Entity, at: usize) -> Result<Value<'a>, Refusal> {
        let refuse = |reason| Refusal {
            column: Some(at),
            reason,
        };
        let index = self.context.index;
        let cell = self.row.filled(Some(at));
        let own = self.defines == Some(entity);
        let found = cell.as_deref().and_then(|cell| index.find(entity, cell));
        match (entity, found) {
            (_, Some(id)) if own && !self.context.replace && index.is_stored(entity, id) => {
                return Err(refuse(STORED_BEFORE));
            }
            (Entity::Person, Some(id)) => self.person = Some(id),
            (_, None) if own => return Err(refuse(Fault::MissingKey.reason())),
            (Entity::Person, None) if cell.is_some() => return Err(refuse(NO_PATIENT)),
            (_, None) if cell.is_some() => self.notes.notice(Note::Unresolved(at)),
            _ => {}
        }
        Ok(integer(found))
    }

    fn concepts(&mut self, code: BoundCode) -> Concepts {
        if let Some(concepts) = self.concepts {
            return concepts;
        }
        let named = self.row.filled(code.system);
        // A vocabulary that is not known has no concepts here, whatever the code.
        let terms = named.map_or(Some(code.terms), |name| Terms::parse(&name));
        let cell = self.row.filled(Some(code.column));
        let found = match (terms, cell) {
            (Some(terms), Some(cell)) => self.look_up(terms, &cell),
            _ => Concepts::default(),
        };
        self.concepts = Some(found);
        found
    }

    fn look_up(&self, terms: Terms, code: &[u8]) -> Concepts {
        let vocabulary = self.context.vocabulary;
        vocabulary.map_or_else(Concepts::default, |vocabulary| vocabulary.find(terms, code))
    }

    fn cause(&self) -> Option<&'a str> {
        self.context.index.cause_of_death(self.person?)
    }

    fn day(&self, at: usize) -> Result<Option<i32>, Fault> {
        self.row
            .filled(Some(at))
            .map(|cell| parse::date(&cell))
            .transpose()
    }

    /// A date, or the first or last day of a year of four digits.
    fn edge(&self, at: usize, edge: Edge) -> Result<Value<'a>, Fault> {
        let Some(cell) = self.row.filled(Some(at)) else {
            return Ok(Value::Null);
        };
        if cell.len() != 4 {
            return parse::date(&cell).map(Value::Day);
        }
        let year = parse::integer(&cell)
            .ok()
            .and_then(|year| i32::try_from(year).ok());
        let (month, day) = match edge {
            Edge::First => (1, 1),
            Edge::Last => (12, 31),
        };
        let day = year.and_then(|year| Day::from_civil(year, month, day));
        day.map(|day| Value::Day(day.0)).ok_or(Fault::Date)
    }

    fn unit(&self, at: usize) -> Value<'a> {
        match self.row.filled(Some(at)) {
            Some(unit) if !parse::is_null_word(&unit) => {
                Value::Integer(self.look_up(Terms::Ucum, &unit).standard)
            }
            _ => Value::Null,
        }
    }

    fn number(&self, at: usize, kind: Option<usize>) -> Result<Value<'a>, Fault> {
        let Some(cell) = self.row.filled(Some(at)) else {
            return Ok(Value::Null);
        };
        let numeric = self
            .row
            .filled(kind)
            .is_some_and(|kind| kind.eq_ignore_ascii_case(b"numeric"));
        match parse::float(&cell) {
            Ok(number) => Ok(Value::Number(number)),
            Err(fault) if numeric => Err(fault),
            Err(_) => Ok(Value::Null),
        }
    }

    fn answer(&mut self, at: usize, code: Option<usize>) -> Result<Value<'a>, Fault> {
        let asked = self
            .row
            .filled(code)
            .is_some_and(|code| asks_for_identifier(&code));
        if asked {
            self.notes.notice(Note::Withheld);
            return Ok(Value::Null);
        }
        convert(&self.row, at, ColumnType::Text)
    }
}

fn integer<'a>(value: Option<i64>) -> Value<'a> {
    value.map_or(Value::Null, Value::Integer)
}

fn pick(concepts: Concepts, which: Which) -> i64 {
    match which {
        Which::Standard => concepts.standard,
        Which::Source => concepts.source,
    }
}

fn part_of(day: Day, part: Part) -> i64 {
    let civil = day.civil();
    match part {
        Part::Year => i64::from(civil.year),
        Part::Month => i64::from(civil.month),
        Part::Day => i64::from(civil.day),
    }
}

fn listed(cell: Option<&[u8]>, list: &[(&str, i64)]) -> i64 {
    let found = cell.and_then(|cell| {
        list.iter()
            .find(|(name, _)| name.as_bytes().eq_ignore_ascii_case(cell))
    });
    found.map_or(0, |(_, concept)| *concept)
}

/// A cell in a column's type; NULL where it is empty.
fn convert<'a>(row: &Row<'a, '_>, at: usize, data_type: ColumnType) -> Result<Value<'a>, Fault> {
    if data_type == ColumnType::Text {
        return text(row.cell(at));
    }
    let Some(cell) = row.filled(Some(at)) else {
        return Ok(Value::Null);
    };
    let value = match data_type {
        ColumnType::Text => Ok(Value::Null),
        ColumnType::Date => parse::date(&cell).map(Value::Day),
        ColumnType::DateTime => parse::datetime(&cell).map(Value::Moment),
        ColumnType::Float => parse::float(&cell).map(Value::Number),
        ColumnType::BigInt => parse::integer(&cell).map(Value::Integer),
        ColumnType::Integer => parse::integer(&cell).and_then(|value| match i32::try_from(value) {
            Ok(value) => Ok(Value::Integer(i64::from(value))),
            Err(_) => Err(Fault::IntegerRange),
        }),
    };
    value.or_else(|fault| {
        if parse::is_null_word(&cell) {
            Ok(Value::Null)
        } else {
            Err(fault)
        }
    })
}

fn text(cell: Cow<'_, [u8]>) -> Result<Value<'_>, Fault> {
    if cell.is_empty() || *cell == *b"\\N" {
        return Ok(Value::Null);
    }
    let text = match cell {
        Cow::Borrowed(cell) => std::str::from_utf8(cell).ok().map(Cow::Borrowed),
        Cow::Owned(cell) => String::from_utf8(cell).ok().map(Cow::Owned),
    };
    text.map(Value::Text).ok_or(Fault::Utf8)
}
