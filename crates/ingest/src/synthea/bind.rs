//! A rule, bound to the columns that a file has.

use super::header::Header;
use super::mapping::{Code, Column, Edge, Entity, Part, Route, Rule, Terms, Which};

/// A [`Rule`] with positions for names.
#[derive(Debug, Clone)]
pub(super) enum Bound {
    Null,
    NextId,
    Constant(i64),
    Ref(Entity, usize),
    ProviderOfVisit(usize),
    Location(Place),
    Cell(usize),
    CellOr(usize, usize),
    Edge(usize, Edge),
    Part(usize, Part),
    Days(usize, usize),
    Listed(usize, &'static [(&'static str, i64)]),
    Concept(Which, BoundCode),
    Unit(usize),
    Number(usize, Option<usize>),
    Answer(usize, Option<usize>),
    PayerName(usize),
    CauseOfDeath,
    CauseConcept(Which),
    EventId,
    EventDomain,
}

/// The columns of an address that are stored.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) city: Option<usize>,
    pub(super) state: Option<usize>,
    pub(super) county: Option<usize>,
    pub(super) zip: Option<usize>,
}

impl Place {
    const NAMES: [Column; 4] = ["CITY", "STATE", "COUNTY", "ZIP"];

    pub(super) fn bind(header: &Header) -> Self {
        let [city, state, county, zip] = Self::NAMES.map(|name| header.position(name));
        Self {
            city,
            state,
            county,
            zip,
        }
    }
}

/// A [`Code`] with positions for names.
#[derive(Debug, Clone, Copy)]
pub(super) struct BoundCode {
    pub(super) terms: Terms,
    pub(super) column: usize,
    pub(super) system: Option<usize>,
}

impl BoundCode {
    fn bind(code: Code, header: &Header) -> Option<Self> {
        Some(Self {
            terms: code.vocabulary,
            column: header.position(code.column)?,
            system: header.position(SYSTEM),
        })
    }
}

const SYSTEM: Column = "SYSTEM";

/// A [`Route`] with positions for names.
#[derive(Debug, Clone, Copy)]
pub(super) enum BoundRoute {
    Only,
    Domain(BoundCode),
    DomainOrType(BoundCode, Option<usize>),
}

impl BoundRoute {
    /// The first target where the column that decides is missing.
    pub(super) fn bind(route: Route, header: &Header) -> Self {
        let bound = match route {
            Route::Only => None,
            Route::Domain(code) => BoundCode::bind(code, header).map(Self::Domain),
            Route::DomainOrType(code, kind) => BoundCode::bind(code, header)
                .map(|code| Self::DomainOrType(code, header.position(kind))),
        };
        bound.unwrap_or(Self::Only)
    }
}

impl Rule {
    /// The columns of the source that the rule reads.
    pub(super) fn columns(self) -> Vec<Column> {
        match self {
            Self::NextId
            | Self::Constant(_)
            | Self::CauseOfDeath
            | Self::CauseConcept(_)
            | Self::EventId
            | Self::EventDomain => vec![],
            Self::Location => Place::NAMES.to_vec(),
            Self::Ref(_, column)
            | Self::ProviderOfVisit(column)
            | Self::Cell(column)
            | Self::Edge(column, _)
            | Self::Part(column, _)
            | Self::Listed(column, _)
            | Self::Unit(column)
            | Self::PayerName(column) => vec![column],
            Self::CellOr(first, second)
            | Self::Days(first, second)
            | Self::Number(first, second)
            | Self::Answer(first, second) => vec![first, second],
            Self::Concept(_, code) => vec![code.column, SYSTEM],
        }
    }

    /// Of these the ones whose content can be read from the value, so that they need not be kept beside it.
    pub(super) fn stored_columns(self) -> Vec<Column> {
        match self {
            Self::Listed(..) => vec![],
            Self::Concept(_, code) => vec![code.column],
            Self::Number(value, _) | Self::Answer(value, _) => vec![value],
            _ => self.columns(),
        }
    }

    /// The rule on a file's columns; `None` where the file lacks the one it needs.
    pub(super) fn bind(self, header: &Header) -> Option<Bound> {
        let at = |column| header.position(column);
        Some(match self {
            Self::NextId => Bound::NextId,
            Self::Constant(value) => Bound::Constant(value),
            Self::Ref(entity, column) => Bound::Ref(entity, at(column)?),
            Self::ProviderOfVisit(column) => Bound::ProviderOfVisit(at(column)?),
            Self::Location => Bound::Location(Place::bind(header)),
            Self::Cell(column) => Bound::Cell(at(column)?),
            Self::CellOr(first, second) => match (at(first), at(second)) {
                (Some(first), Some(second)) => Bound::CellOr(first, second),
                (Some(only), None) | (None, Some(only)) => Bound::Cell(only),
                (None, None) => return None,
            },
            Self::Edge(column, edge) => Bound::Edge(at(column)?, edge),
            Self::Part(column, part) => Bound::Part(at(column)?, part),
            Self::Days(from, to) => Bound::Days(at(from)?, at(to)?),
            Self::Listed(column, list) => Bound::Listed(at(column)?, list),
            Self::Concept(which, code) => Bound::Concept(which, BoundCode::bind(code, header)?),
            Self::Unit(column) => Bound::Unit(at(column)?),
            Self::Number(value, kind) => Bound::Number(at(value)?, at(kind)),
            Self::Answer(value, code) => Bound::Answer(at(value)?, at(code)),
            Self::PayerName(column) => Bound::PayerName(at(column)?),
            Self::CauseOfDeath => Bound::CauseOfDeath,
            Self::CauseConcept(which) => Bound::CauseConcept(which),
            Self::EventId => Bound::EventId,
            Self::EventDomain => Bound::EventDomain,
        })
    }
}

impl Bound {
    /// The column of the source that a refusal names.
    pub(super) fn column(&self) -> Option<usize> {
        match self {
            Self::Null
            | Self::NextId
            | Self::Constant(_)
            | Self::Location(_)
            | Self::CauseOfDeath
            | Self::CauseConcept(_)
            | Self::EventId
            | Self::EventDomain => None,
            Self::Ref(_, at)
            | Self::ProviderOfVisit(at)
            | Self::Cell(at)
            | Self::CellOr(at, _)
            | Self::Edge(at, _)
            | Self::Part(at, _)
            | Self::Days(at, _)
            | Self::Listed(at, _)
            | Self::Unit(at)
            | Self::Number(at, _)
            | Self::Answer(at, _)
            | Self::PayerName(at) => Some(*at),
            Self::Concept(_, code) => Some(code.column),
        }
    }
}
