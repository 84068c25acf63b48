//! What a hospital has written down: flat rows of many persons, in the order of persons and days.

use crate::population::Sex;
use crate::vocabulary::Concept;

/// A concept of the vocabulary.
pub(crate) type Code = &'static Concept;

/// A patient's demographics.
#[derive(Debug, Clone)]
pub(crate) struct PersonRow {
    /// The person's key in this hospital.
    pub(crate) person: i64,
    /// The key of the human being behind it, the same in every hospital.
    pub(crate) identity: u64,
    /// Sex.
    pub(crate) sex: Sex,
    /// Day of birth.
    pub(crate) birth: i32,
    /// District, from 0.
    pub(crate) district: usize,
}

/// An observation period.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PeriodRow {
    /// The person.
    pub(crate) person: i64,
    /// The row's key.
    pub(crate) id: i64,
    /// First day.
    pub(crate) start: i32,
    /// Last day.
    pub(crate) end: i32,
}

/// A visit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct VisitRow {
    /// The person.
    pub(crate) person: i64,
    /// The row's key.
    pub(crate) id: i64,
    /// Outpatient, inpatient, emergency, or both of the latter.
    pub(crate) kind: Code,
    /// First day.
    pub(crate) start: i32,
    /// Last day.
    pub(crate) end: i32,
    /// Minute of the first day.
    pub(crate) minute: i32,
    /// Department, from 0.
    pub(crate) department: usize,
    /// Clinician of the department, from 0.
    pub(crate) clinician: usize,
    /// The person's visit before this one.
    pub(crate) preceding: Option<i64>,
}

/// A record made during a visit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EventRow<T> {
    /// The person.
    pub(crate) person: i64,
    /// The row's key.
    pub(crate) id: i64,
    /// The visit's key.
    pub(crate) visit: i64,
    /// Minute of the day at which the visit began.
    pub(crate) minute: i32,
    /// Department of the visit.
    pub(crate) department: usize,
    /// Clinician of the department.
    pub(crate) clinician: usize,
    /// The day.
    pub(crate) day: i32,
    /// What was recorded.
    pub(crate) what: Code,
    /// What belongs to this kind of record.
    pub(crate) detail: T,
}

/// A diagnosis; the day it ended, where it did.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Diagnosis {
    /// Last day of an acute illness.
    pub(crate) end: Option<i32>,
}

/// A prescription.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Prescription {
    /// Days of supply.
    pub(crate) days: i32,
    /// Units dispensed.
    pub(crate) quantity: f64,
}

/// A procedure.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Procedure;

/// A laboratory value or vital sign; none for a category.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Value {
    /// The number.
    pub(crate) number: Option<f64>,
}

/// An observation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answer {
    /// A score.
    pub(crate) number: Option<f64>,
    /// An answer in words.
    pub(crate) text: Option<&'static str>,
}

/// A death.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DeathRow {
    /// The person.
    pub(crate) person: i64,
    /// The day.
    pub(crate) day: i32,
    /// The cause, where one is known.
    pub(crate) cause: Option<Code>,
}

/// Everything recorded about a run of persons.
#[derive(Debug, Default)]
pub(crate) struct Records {
    /// Patients.
    pub(crate) persons: Vec<PersonRow>,
    /// Observation periods.
    pub(crate) periods: Vec<PeriodRow>,
    /// Visits.
    pub(crate) visits: Vec<VisitRow>,
    /// Diagnoses.
    pub(crate) diagnoses: Vec<EventRow<Diagnosis>>,
    /// Prescriptions.
    pub(crate) prescriptions: Vec<EventRow<Prescription>>,
    /// Procedures.
    pub(crate) procedures: Vec<EventRow<Procedure>>,
    /// Values.
    pub(crate) values: Vec<EventRow<Value>>,
    /// Observations.
    pub(crate) answers: Vec<EventRow<Answer>>,
    /// Deaths.
    pub(crate) deaths: Vec<DeathRow>,
}
