//! One person's chart while it is being written: visits, and what was recorded at each.

use crate::population::{Period, Person};
use crate::records::{
    Answer, Code, Diagnosis, EventRow, Prescription, Procedure, Records, Value, VisitRow,
};
use crate::rng::Rng;
use crate::vocabulary::metadata;

/// Departments of the hospital; each is a care site.
pub(crate) const DEPARTMENTS: [&str; 12] = [
    "Internal medicine",
    "Cardiology",
    "Endocrinology",
    "Nephrology",
    "Pulmonology",
    "Gastroenterology",
    "Oncology",
    "Orthopedic surgery",
    "General surgery",
    "Psychiatry and neurology",
    "Family medicine",
    "Emergency",
];
/// Position of a department in [`DEPARTMENTS`].
pub(crate) mod department {
    pub(crate) const INTERNAL: usize = 0;
    pub(crate) const CARDIOLOGY: usize = 1;
    pub(crate) const ENDOCRINOLOGY: usize = 2;
    pub(crate) const NEPHROLOGY: usize = 3;
    pub(crate) const PULMONOLOGY: usize = 4;
    pub(crate) const GASTROENTEROLOGY: usize = 5;
    pub(crate) const ONCOLOGY: usize = 6;
    pub(crate) const ORTHOPEDICS: usize = 7;
    pub(crate) const SURGERY: usize = 8;
    pub(crate) const NEUROLOGY: usize = 9;
    pub(crate) const FAMILY: usize = 10;
    pub(crate) const EMERGENCY: usize = 11;
}
/// Clinicians of each department.
pub(crate) const CLINICIANS: usize = 5;

/// Keys of a person's rows: person key times this, plus a number. Rows beyond that would be left out; no person comes near it.
pub(crate) const KEYS_PER_PERSON: i64 = 10_000;

/// A visit of the chart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct VisitRef(usize);

#[derive(Debug, Clone, Copy)]
struct Visit {
    kind: Code,
    start: i32,
    end: i32,
    minute: i32,
    department: usize,
    clinician: usize,
}

#[derive(Debug, Clone, Copy)]
struct Entry<T> {
    visit: VisitRef,
    day: i32,
    what: Code,
    detail: T,
}

/// A person's chart.
#[derive(Debug)]
pub(crate) struct Chart<'a> {
    /// Whose chart it is.
    pub(crate) person: &'a Person,
    periods: &'a [Period],
    visits: Vec<Visit>,
    /// Stays in hospital, as positions in `visits`.
    stays: Vec<usize>,
    diagnoses: Vec<Entry<Diagnosis>>,
    prescriptions: Vec<Entry<Prescription>>,
    procedures: Vec<Entry<Procedure>>,
    values: Vec<Entry<Value>>,
    answers: Vec<Entry<Answer>>,
}

impl<'a> Chart<'a> {
    /// An empty chart over the periods in which the hospital saw the person alive.
    pub(crate) fn new(person: &'a Person, periods: &'a [Period]) -> Self {
        Self {
            person,
            periods,
            visits: Vec::with_capacity(32),
            stays: Vec::new(),
            diagnoses: Vec::with_capacity(32),
            prescriptions: Vec::with_capacity(32),
            procedures: Vec::new(),
            values: Vec::with_capacity(64),
            answers: Vec::new(),
        }
    }

    /// The period that a day lies in.
    pub(crate) fn period(&self, day: i32) -> Option<Period> {
        self.periods
            .iter()
            .find(|period| period.contains(day))
            .copied()
    }

    /// A new visit of a kind; `None` outside the periods. Its end is cut at the end of the period.
    pub(crate) fn visit(
        &mut self,
        rng: &mut Rng,
        kind: Code,
        start: i32,
        end: i32,
        department: usize,
    ) -> Option<VisitRef> {
        let period = self.period(start)?;
        let minute = if kind.id == metadata::OUTPATIENT.id {
            rng.between(8 * 60 + 30, 17 * 60)
        } else {
            rng.between(0, 24 * 60 - 1)
        };
        let clinician = rng.index(CLINICIANS);
        let is_stay =
            kind.id == metadata::INPATIENT.id || kind.id == metadata::EMERGENCY_INPATIENT.id;
        if is_stay {
            self.stays.push(self.visits.len());
        }
        self.visits.push(Visit {
            kind,
            start,
            end: end.min(period.end),
            minute,
            department,
            clinician,
        });
        Some(VisitRef(self.visits.len() - 1))
    }

    /// The visit that covers a day: a stay, another visit of that day, or a new outpatient visit.
    pub(crate) fn contact(
        &mut self,
        rng: &mut Rng,
        day: i32,
        department: usize,
    ) -> Option<VisitRef> {
        if let Some(stay) = self.stay(day) {
            return Some(stay);
        }
        if let Some(same) = self.visits.iter().rposition(|visit| visit.start == day) {
            return Some(VisitRef(same));
        }
        self.visit(rng, &metadata::OUTPATIENT, day, day, department)
    }

    /// The stay that covers a day.
    pub(crate) fn stay(&self, day: i32) -> Option<VisitRef> {
        self.stays
            .iter()
            .find(|&&stay| self.visits[stay].start <= day && day <= self.visits[stay].end)
            .map(|&stay| VisitRef(stay))
    }

    /// First and last day of a visit.
    pub(crate) fn span(&self, visit: VisitRef) -> (i32, i32) {
        let visit = &self.visits[visit.0];
        (visit.start, visit.end)
    }

    /// Whether a value of a test was recorded on a day already.
    pub(crate) fn has_value(&self, day: i32, what: Code) -> bool {
        self.values
            .iter()
            .rev()
            .any(|value| value.day == day && value.what.id == what.id)
    }

    /// Records a diagnosis that lasts.
    pub(crate) fn diagnose(&mut self, visit: VisitRef, day: i32, what: Code) {
        self.diagnoses.push(Entry {
            visit,
            day,
            what,
            detail: Diagnosis { end: None },
        });
    }

    /// Records an acute illness of so many days.
    pub(crate) fn diagnose_acute(&mut self, visit: VisitRef, day: i32, what: Code, days: i32) {
        let end = self.period(day).map(|period| (day + days).min(period.end));
        self.diagnoses.push(Entry {
            visit,
            day,
            what,
            detail: Diagnosis { end },
        });
    }

    /// Records a prescription of so many days at so many units a day.
    pub(crate) fn prescribe(
        &mut self,
        visit: VisitRef,
        day: i32,
        what: Code,
        days: i32,
        per_day: f64,
    ) {
        let detail = Prescription {
            days,
            quantity: f64::from(days) * per_day,
        };
        self.prescriptions.push(Entry {
            visit,
            day,
            what,
            detail,
        });
    }

    /// Records a procedure.
    pub(crate) fn perform(&mut self, visit: VisitRef, day: i32, what: Code) {
        self.procedures.push(Entry {
            visit,
            day,
            what,
            detail: Procedure,
        });
    }

    /// Records a value.
    pub(crate) fn measure(&mut self, visit: VisitRef, day: i32, what: Code, number: f64) {
        self.values.push(Entry {
            visit,
            day,
            what,
            detail: Value {
                number: Some(number),
            },
        });
    }

    /// Records a category as a measurement, such as a stage.
    pub(crate) fn stage(&mut self, visit: VisitRef, day: i32, what: Code) {
        self.values.push(Entry {
            visit,
            day,
            what,
            detail: Value { number: None },
        });
    }

    /// Records an observation.
    pub(crate) fn observe(
        &mut self,
        visit: VisitRef,
        day: i32,
        what: Code,
        number: Option<f64>,
        text: Option<&'static str>,
    ) {
        self.answers.push(Entry {
            visit,
            day,
            what,
            detail: Answer { number, text },
        });
    }

    /// Every stay: kind of visit's days, and the diagnoses recorded on its first day.
    pub(crate) fn stays(&self) -> impl Iterator<Item = (VisitRef, i32, i32)> {
        self.stays.iter().map(|&stay| {
            (
                VisitRef(stay),
                self.visits[stay].start,
                self.visits[stay].end,
            )
        })
    }

    /// The concepts diagnosed at a visit.
    pub(crate) fn diagnoses_of(&self, visit: VisitRef) -> impl Iterator<Item = Code> {
        self.diagnoses
            .iter()
            .filter(move |entry| entry.visit == visit)
            .map(|entry| entry.what)
    }

    /// Appends the chart to the records, sorted by day and with keys.
    ///
    /// `keep` says by a visit's first day whether this hospital holds the visit.
    pub(crate) fn finish(self, key: i64, records: &mut Records, mut keep: impl FnMut(i32) -> bool) {
        let base = key * KEYS_PER_PERSON;
        let mut order: Vec<usize> = (0..self.visits.len())
            .filter(|&index| keep(self.visits[index].start))
            .collect();
        order.sort_by_key(|&index| (self.visits[index].start, self.visits[index].minute, index));
        let mut ids: Vec<Option<i64>> = vec![None; self.visits.len()];
        let mut preceding = None;
        for (id, &index) in (base..).zip(&order) {
            let visit = &self.visits[index];
            ids[index] = Some(id);
            records.visits.push(VisitRow {
                person: key,
                id,
                kind: visit.kind,
                start: visit.start,
                end: visit.end,
                minute: visit.minute,
                department: visit.department,
                clinician: visit.clinician,
                preceding,
            });
            preceding = Some(id);
        }
        let place = |visit: VisitRef| ids[visit.0].map(|id| (id, &self.visits[visit.0]));
        append(key, self.diagnoses, place, &mut records.diagnoses);
        append(key, self.prescriptions, place, &mut records.prescriptions);
        append(key, self.procedures, place, &mut records.procedures);
        append(key, self.values, place, &mut records.values);
        append(key, self.answers, place, &mut records.answers);
    }
}

/// Appends one kind of entry in the order of days.
fn append<'v, T: Copy>(
    key: i64,
    mut entries: Vec<Entry<T>>,
    place: impl Fn(VisitRef) -> Option<(i64, &'v Visit)>,
    rows: &mut Vec<EventRow<T>>,
) {
    entries.sort_by_key(|entry| entry.day);
    let mut id = key * KEYS_PER_PERSON;
    for entry in entries {
        let Some((visit_id, visit)) = place(entry.visit) else {
            continue;
        };
        // A record of a day after discharge (or after death) was never made.
        if entry.day < visit.start || entry.day > visit.end || id >= (key + 1) * KEYS_PER_PERSON {
            continue;
        }
        rows.push(EventRow {
            person: key,
            id,
            visit: visit_id,
            minute: visit.minute,
            department: visit.department,
            clinician: visit.clinician,
            day: entry.day,
            what: entry.what,
            detail: entry.detail,
        });
        id += 1;
    }
}
