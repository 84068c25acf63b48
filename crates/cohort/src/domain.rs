//! The domains of events: their tables, dates, and the attributes that criteria may ask about.

use crate::definition::CountColumn;
use crate::domain_table as t;

/// A domain of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Domain {
    /// Eras of conditions.
    ConditionEra,
    /// Conditions.
    ConditionOccurrence,
    /// Deaths.
    Death,
    /// Devices.
    DeviceExposure,
    /// Eras of one drug at one dose.
    DoseEra,
    /// Eras of drugs.
    DrugEra,
    /// Drugs.
    DrugExposure,
    /// Measurements.
    Measurement,
    /// Observations.
    Observation,
    /// Observation periods.
    ObservationPeriod,
    /// Insurance.
    PayerPlanPeriod,
    /// Procedures.
    ProcedureOccurrence,
    /// Specimens.
    Specimen,
    /// Parts of visits.
    VisitDetail,
    /// Visits.
    VisitOccurrence,
}

impl Domain {
    /// All domains; a domain's position here is `self as usize`.
    pub const ALL: [Self; 15] = [
        Self::ConditionEra,
        Self::ConditionOccurrence,
        Self::Death,
        Self::DeviceExposure,
        Self::DoseEra,
        Self::DrugEra,
        Self::DrugExposure,
        Self::Measurement,
        Self::Observation,
        Self::ObservationPeriod,
        Self::PayerPlanPeriod,
        Self::ProcedureOccurrence,
        Self::Specimen,
        Self::VisitDetail,
        Self::VisitOccurrence,
    ];

    /// A domain by the name that definitions use.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|d| d.def().name == name)
    }

    /// What is known of the domain.
    #[must_use]
    pub fn def(self) -> &'static DomainDef {
        match self {
            Self::ConditionEra => &t::CONDITION_ERA,
            Self::ConditionOccurrence => &t::CONDITION_OCCURRENCE,
            Self::Death => &t::DEATH,
            Self::DeviceExposure => &t::DEVICE_EXPOSURE,
            Self::DoseEra => &t::DOSE_ERA,
            Self::DrugEra => &t::DRUG_ERA,
            Self::DrugExposure => &t::DRUG_EXPOSURE,
            Self::Measurement => &t::MEASUREMENT,
            Self::Observation => &t::OBSERVATION,
            Self::ObservationPeriod => &t::OBSERVATION_PERIOD,
            Self::PayerPlanPeriod => &t::PAYER_PLAN_PERIOD,
            Self::ProcedureOccurrence => &t::PROCEDURE_OCCURRENCE,
            Self::Specimen => &t::SPECIMEN,
            Self::VisitDetail => &t::VISIT_DETAIL,
            Self::VisitOccurrence => &t::VISIT_OCCURRENCE,
        }
    }
}

/// What is known of a domain.
#[derive(Debug)]
pub struct DomainDef {
    /// The name that definitions use.
    pub name: &'static str,
    /// One event of the domain, in words.
    pub noun: &'static str,
    /// The table that holds the events.
    pub table: &'static str,
    /// The event's own key.
    pub id: &'static str,
    /// The day it starts.
    pub start: &'static str,
    /// The day it ends.
    pub end: End,
    /// The standard concept.
    pub concept: Option<&'static str>,
    /// The source concept.
    pub source: Option<&'static str>,
    /// Whether events name their visit.
    pub visit: bool,
    /// The attributes that criteria may have.
    pub attributes: &'static [Attribute],
    /// Columns of which distinct values may be counted, beside those that all domains have.
    pub counts: &'static [(&'static str, CountColumn)],
}

/// Where an event's end comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// A column, whatever it holds.
    Column(&'static str),
    /// A column, or the day after the start where it is empty.
    ColumnOrNextDay(&'static str),
    /// A column, or the start and the days of supply, or the day after the start.
    Supply {
        /// The end.
        end: &'static str,
        /// Days of supply.
        days: &'static str,
    },
    /// The day after the start.
    NextDay,
}

impl End {
    /// The columns that it needs.
    pub fn columns(self) -> impl Iterator<Item = &'static str> {
        let (first, second) = match self {
            Self::Column(end) | Self::ColumnOrNextDay(end) => (Some(end), None),
            Self::Supply { end, days } => (Some(end), Some(days)),
            Self::NextDay => (None, None),
        };
        first.into_iter().chain(second)
    }
}

/// An attribute that criteria may have.
#[derive(Debug)]
pub struct Attribute {
    /// Its name in definitions.
    pub name: &'static str,
    /// What it means.
    pub kind: Kind,
}

/// What an attribute means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The concept set of the standard concept.
    Codeset,
    /// The concept set of the source concept.
    SourceCodeset,
    /// Only the first event.
    First,
    /// A range that the start date is in.
    StartDate,
    /// A range that the end date is in.
    EndDate,
    /// A list of concepts; the same name with `CS` behind it is a concept set.
    Concepts(Field),
    /// A list of concepts that the named flag turns around.
    ConceptsOrNot(Field, &'static str),
    /// A concept set that may be turned around, by its own name.
    Selection(Field),
    /// The number of a concept set.
    SetNumber(Field),
    /// A range of whole numbers.
    Whole(Operand),
    /// A range of numbers with four decimals.
    Decimal(Operand),
    /// A text filter.
    Text(&'static str),
    /// Abnormal values only.
    Abnormal,
    /// Dates that stand in for the period's own.
    UserPeriod,
    /// Not supported, for this reason.
    Refused(&'static str),
}

/// Where a concept is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Field {
    /// In a column of the domain's table.
    Column(&'static str),
    /// The person's gender.
    Gender,
    /// The person's race.
    Race,
    /// The person's ethnicity.
    Ethnicity,
    /// The specialty of the event's provider.
    Specialty,
    /// The kind of the event's visit.
    Visit,
    /// The place of service of the event's care site.
    Place,
}

/// A number of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operand {
    /// A column of the domain's table.
    Column(&'static str),
    /// Days from start to end.
    Length,
    /// The year of the start less the year of birth.
    AgeAtStart,
    /// The year of the end less the year of birth.
    AgeAtEnd,
    /// The value over a bound of its range.
    Ratio {
        /// The value.
        value: &'static str,
        /// The bound.
        bound: &'static str,
    },
}
