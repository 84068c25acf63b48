//! The words in which the mappings to OMOP are written: a table per target, a rule per column.

/// What becomes of the rows of one source file.
#[derive(Debug)]
pub(super) struct FileMapping {
    /// The file's name without its ending, in lower case.
    pub(super) file: &'static str,
    /// For files whose rows other files refer to: what they are, by their column `Id`.
    pub(super) defines: Option<Entity>,
    /// Which of the targets a row goes to.
    pub(super) route: Route,
    /// The tables a row may go to: it becomes a row of exactly one.
    pub(super) targets: &'static [Target],
    /// Rows that are made in addition to it.
    pub(super) beside: &'static [Target],
}

/// One table that rows of a file go to.
#[derive(Debug)]
pub(super) struct Target {
    /// The OMOP table.
    pub(super) table: &'static str,
    /// The domain of the concepts that the table holds.
    pub(super) domain: &'static str,
    /// Only rows with a value in this column.
    pub(super) when: Option<&'static str>,
    /// A rule for each column of the table; columns without one are NULL.
    pub(super) cells: &'static [(&'static str, Rule)],
}

/// How a row's target is chosen.
#[derive(Debug, Clone, Copy)]
pub(super) enum Route {
    /// There is one target.
    Only,
    /// The target of the standard concept's domain; the first one where the vocabulary gives none of them.
    Domain(Code),
    /// The same, and without a domain: rows whose type column says `numeric` go to the first, others to the second.
    DomainOrType(Code, Column),
}

/// A column of the source: its name, or names by which versions of Synthea call it, separated by `|`.
pub(super) type Column = &'static str;

/// A code of a source vocabulary.
#[derive(Debug, Clone, Copy)]
pub(super) struct Code {
    /// The vocabulary, unless the row names another one in its column `SYSTEM`.
    pub(super) vocabulary: Terms,
    /// The column that holds the code.
    pub(super) column: Column,
}

/// A vocabulary that Synthea writes codes of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Terms {
    /// SNOMED CT, its US edition included.
    Snomed,
    /// RxNorm, for medications.
    RxNorm,
    /// LOINC, for observations.
    Loinc,
    /// CVX, for vaccines.
    Cvx,
    /// UCUM, for units.
    Ucum,
    /// ICD-10-CM, which newer versions can write beside SNOMED CT.
    Icd10Cm,
}

/// Things that rows of other files refer to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Entity {
    /// A patient.
    Person,
    /// An encounter.
    Visit,
    /// An organization.
    CareSite,
    /// A clinician.
    Provider,
}

/// Which end of a year a bare year stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Edge {
    /// Its first day.
    First,
    /// Its last day.
    Last,
}

/// A part of a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// The year.
    Year,
    /// The month, from 1.
    Month,
    /// The day of the month, from 1.
    Day,
}

/// Which of a code's two concepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    /// The standard concept; 0 where there is none.
    Standard,
    /// The concept of the code itself; 0 where it is unknown.
    Source,
}

/// Where a value comes from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rule {
    /// The next key of the target table.
    NextId,
    /// The same for every row.
    Constant(i64),
    /// The key of what the cell refers to.
    Ref(Entity, Column),
    /// The clinician of the encounter that the cell refers to.
    ProviderOfVisit(Column),
    /// The location that the row's columns `CITY`, `STATE`, `COUNTY` and `ZIP` describe.
    Location,
    /// The cell, in the type of the target column.
    Cell(Column),
    /// The cell; where it is empty, another one.
    CellOr(Column, Column),
    /// A day that may be written as a bare year.
    Edge(Column, Edge),
    /// A part of a date.
    Part(Column, Part),
    /// The days from one date to another.
    Days(Column, Column),
    /// The concept listed for the cell, in any case; 0 where none is.
    Listed(Column, &'static [(&'static str, i64)]),
    /// A concept of a code.
    Concept(Which, Code),
    /// The standard concept of a unit; NULL where there is no unit.
    Unit(Column),
    /// The value as a number: must be one where the type column says `numeric`, may be one elsewhere.
    Number(Column, Column),
    /// The value as text, unless the code asks for what identifies a person.
    Answer(Column, Column),
    /// The name of the payer that the cell refers to.
    PayerName(Column),
    /// The code of the cause of the person's death.
    CauseOfDeath,
    /// A concept of the cause of the person's death.
    CauseConcept(Which),
    /// In a row beside another: the key of that one.
    EventId,
    /// In a row beside another: the domain of that one.
    EventDomain,
}

/// Recorded in the course of an encounter.
pub(super) const TYPE_ENCOUNTER: i64 = 32_827;
/// Recorded in the health record, without saying where in it.
pub(super) const TYPE_EHR: i64 = 32_817;

/// The patient of a row.
pub(super) const PATIENT: Column = "PATIENT";
/// The encounter of a row.
pub(super) const ENCOUNTER: Column = "ENCOUNTER";

/// A code of SNOMED CT in the column `CODE`.
pub(super) const SNOMED: Code = Code {
    vocabulary: Terms::Snomed,
    column: "CODE",
};

/// The concepts of `GENDER`.
pub(super) const GENDER: &[(&str, i64)] = &[("M", 8507), ("F", 8532)];
