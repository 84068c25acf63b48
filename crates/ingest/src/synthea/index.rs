//! What rows refer to across files: patients, encounters, organizations, clinicians, payers, locations.
//!
//! It is read before any row is stored, from five of the files, and stays in memory beside the limit given for the
//! ingest: ten million encounters take between 290 and 570 MB (25 bytes each, in a table that is between 44 and 88
//! percent full).

use std::collections::{BTreeMap, HashMap, HashSet};

use super::bind::Place;
use super::header::{Header, Row};
use super::ids::{Ids, Key, KeyMap};
use super::mapping::Entity;
use crate::parse;

/// SNOMED CT's code for the encounter in which a death is certified; its reason is the cause of death.
const DEATH_CERTIFICATION: &[u8] = b"308646001";

/// An encounter, as others see it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Visit {
    pub(super) id: i64,
    pub(super) provider: Option<i64>,
}

/// Keys of the source with their numbers, and what is derived of many rows.
#[derive(Debug, Default)]
pub(super) struct Index {
    pub(super) persons: Ids,
    pub(super) care_sites: Ids,
    pub(super) providers: Ids,
    pub(super) locations: Locations,
    visits: KeyMap<Packed>,
    visits_highest: u32,
    visits_stored: u32,
    payers: KeyMap<String>,
    causes: HashMap<i64, String>,
    periods: BTreeMap<i64, (i32, i32)>,
}

/// A visit and its provider in eight bytes; a provider of 0 is none.
#[derive(Debug, Clone, Copy)]
struct Packed {
    id: u32,
    provider: u32,
}

/// A limit of the index that a delivery goes beyond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooManyVisits;

/// How a file adds to the index.
#[derive(Debug, Clone, Copy)]
pub(super) enum Scan {
    /// patients.csv
    Patients { id: Option<usize>, place: Place },
    /// organizations.csv
    CareSites { id: Option<usize>, place: Place },
    /// providers.csv
    Providers { id: Option<usize> },
    /// payers.csv
    Payers {
        id: Option<usize>,
        name: Option<usize>,
    },
    /// encounters.csv
    Visits(VisitScan),
}

/// The columns of encounters.csv that matter to other files.
#[derive(Debug, Clone, Copy)]
pub(super) struct VisitScan {
    id: Option<usize>,
    patient: Option<usize>,
    provider: Option<usize>,
    start: Option<usize>,
    stop: Option<usize>,
    code: Option<usize>,
    reason: Option<usize>,
}

impl Scan {
    /// The files in the order in which they must be read: encounters refer to the others.
    pub(super) const FILES: [&'static str; 5] = [
        "patients",
        "organizations",
        "providers",
        "payers",
        "encounters",
    ];

    /// How a file adds to the index; `None` for one that does not.
    pub(super) fn bind(file: &str, header: &Header) -> Option<Self> {
        let at = |name| header.position(name);
        let (id, place) = (at("Id"), Place::bind(header));
        Some(match file {
            "patients" => Self::Patients { id, place },
            "organizations" => Self::CareSites { id, place },
            "providers" => Self::Providers { id },
            "payers" => Self::Payers {
                id,
                name: at("NAME"),
            },
            "encounters" => Self::Visits(VisitScan {
                id,
                patient: at("PATIENT"),
                provider: at("PROVIDER"),
                start: at("START"),
                stop: at("STOP"),
                code: at("CODE"),
                reason: at("REASONCODE"),
            }),
            _ => return None,
        })
    }
}

impl Index {
    /// An encounter that the store has.
    pub(super) fn known_visit(&mut self, source: &[u8], id: i64) -> Result<(), TooManyVisits> {
        let id = u32::try_from(id).map_err(|_| TooManyVisits)?;
        if let Some(key) = Key::of(source) {
            self.visits.insert(key, Packed { id, provider: 0 });
        }
        self.visits_at_least(i64::from(id))
    }

    /// The store has visits up to this one.
    pub(super) fn visits_at_least(&mut self, highest: i64) -> Result<(), TooManyVisits> {
        let highest = u32::try_from(highest.max(0)).map_err(|_| TooManyVisits)?;
        self.visits_highest = self.visits_highest.max(highest);
        self.visits_stored = self.visits_highest;
        Ok(())
    }

    /// Takes a row.
    pub(super) fn add(&mut self, scan: &Scan, row: &Row<'_, '_>) -> Result<(), TooManyVisits> {
        match scan {
            Scan::Patients { id, place } => {
                if let Some(cell) = row.filled(*id) {
                    self.persons.assign(&cell);
                }
                self.locations.assign(row, place);
            }
            Scan::CareSites { id, place } => {
                if let Some(cell) = row.filled(*id) {
                    self.care_sites.assign(&cell);
                }
                self.locations.assign(row, place);
            }
            Scan::Providers { id } => {
                if let Some(cell) = row.filled(*id) {
                    self.providers.assign(&cell);
                }
            }
            Scan::Payers { id, name } => {
                let key = row.filled(*id).and_then(|cell| Key::of(&cell));
                let name = row
                    .filled(*name)
                    .and_then(|name| String::from_utf8(name.into_owned()).ok());
                if let (Some(key), Some(name)) = (key, name) {
                    self.payers.entry(key).or_insert(name);
                }
            }
            Scan::Visits(scan) => self.add_visit(scan, row)?,
        }
        Ok(())
    }

    fn add_visit(&mut self, scan: &VisitScan, row: &Row<'_, '_>) -> Result<(), TooManyVisits> {
        let Some(key) = row.filled(scan.id).and_then(|cell| Key::of(&cell)) else {
            return Ok(());
        };
        let provider = row
            .filled(scan.provider)
            .and_then(|cell| self.providers.get(&cell));
        let provider = provider
            .and_then(|provider| u32::try_from(provider).ok())
            .unwrap_or(0);
        let next = self.visits_highest.checked_add(1).ok_or(TooManyVisits)?;
        let visit = self
            .visits
            .entry(key)
            .or_insert(Packed { id: next, provider });
        if visit.provider == 0 {
            // The store tells an earlier visit's number, and not who was seen.
            visit.provider = provider;
        }
        self.visits_highest = self.visits_highest.max(visit.id);

        let Some(person) = row
            .filled(scan.patient)
            .and_then(|cell| self.persons.get(&cell))
        else {
            return Ok(());
        };
        if row.filled(scan.code).as_deref() == Some(DEATH_CERTIFICATION)
            && let Some(reason) = row.filled(scan.reason)
            && let Ok(reason) = String::from_utf8(reason.into_owned())
        {
            self.causes.entry(person).or_insert(reason);
        }
        let date = |at| row.filled(at).map(|cell| parse::date(&cell)).transpose();
        // A row whose dates are none is rejected later, and extends no period.
        if let (Ok(Some(start)), Ok(stop)) = (date(scan.start), date(scan.stop)) {
            let stop = stop.unwrap_or(start).max(start);
            let period = self.periods.entry(person).or_insert((start, stop));
            *period = (period.0.min(start), period.1.max(stop));
        }
        Ok(())
    }

    /// The number of what a cell refers to.
    pub(super) fn find(&self, entity: Entity, cell: &[u8]) -> Option<i64> {
        match entity {
            Entity::Person => self.persons.get(cell),
            Entity::CareSite => self.care_sites.get(cell),
            Entity::Provider => self.providers.get(cell),
            Entity::Visit => self.visit(cell).map(|visit| visit.id),
        }
    }

    /// Whether a number was given by an earlier delivery.
    pub(super) fn is_stored(&self, entity: Entity, id: i64) -> bool {
        match entity {
            Entity::Person => self.persons.is_stored(id),
            Entity::CareSite => self.care_sites.is_stored(id),
            Entity::Provider => self.providers.is_stored(id),
            Entity::Visit => id <= i64::from(self.visits_stored),
        }
    }

    pub(super) fn visit(&self, cell: &[u8]) -> Option<Visit> {
        let packed = self.visits.get(&Key::of(cell)?)?;
        Some(Visit {
            id: i64::from(packed.id),
            provider: (packed.provider > 0).then_some(i64::from(packed.provider)),
        })
    }

    pub(super) fn location(&self, row: &Row<'_, '_>, place: &Place) -> Option<i64> {
        self.locations.find(row, place)
    }

    pub(super) fn payer(&self, cell: &[u8]) -> Option<&str> {
        self.payers.get(&Key::of(cell)?).map(String::as_str)
    }

    pub(super) fn cause_of_death(&self, person: i64) -> Option<&str> {
        self.causes.get(&person).map(String::as_str)
    }

    /// First and last day of the encounters of each person, in the order of persons.
    pub(super) fn periods(&self) -> impl Iterator<Item = (i64, i32, i32)> + '_ {
        self.periods
            .iter()
            .map(|(person, (start, end))| (*person, *start, *end))
    }
}

/// Where people live and care sites stand: no narrower than a postal code.
#[derive(Debug, Default)]
pub(super) struct Locations {
    ids: Ids,
    /// Whether those that the store has are written again.
    pub(super) replace: bool,
    listed: HashSet<i64>,
    added: Vec<Location>,
}

/// A location of this delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Location {
    pub(super) id: i64,
    /// City, state, county and postal code, empty where not given.
    pub(super) parts: [String; 4],
}

impl Location {
    /// The parts in one text, by which a later delivery finds the location.
    pub(super) fn source_value(&self) -> String {
        self.parts.join("|")
    }
}

impl Locations {
    /// A location that the store has.
    pub(super) fn known(&mut self, source: &[u8], id: i64) {
        self.ids.known(source, id);
    }

    /// The store has locations up to this one.
    pub(super) fn at_least(&mut self, highest: i64) {
        self.ids.at_least(highest);
    }

    fn assign(&mut self, row: &Row<'_, '_>, place: &Place) {
        let Some(parts) = parts(row, place) else {
            return;
        };
        let Some(id) = self.ids.assign(parts.join("|").as_bytes()) else {
            return;
        };
        let is_written = self.replace || !self.ids.is_stored(id);
        if is_written && self.listed.insert(id) {
            self.added.push(Location { id, parts });
        }
    }

    fn find(&self, row: &Row<'_, '_>, place: &Place) -> Option<i64> {
        self.ids.get(parts(row, place)?.join("|").as_bytes())
    }

    /// Those to write, in order of appearance.
    pub(super) fn added(&self) -> &[Location] {
        &self.added
    }
}

/// The parts of a row's location; `None` where there are none, or not in UTF-8.
fn parts(row: &Row<'_, '_>, place: &Place) -> Option<[String; 4]> {
    let mut parts = [const { String::new() }; 4];
    let columns = [place.city, place.state, place.county, place.zip];
    for (part, column) in parts.iter_mut().zip(columns) {
        if let Some(cell) = row.filled(column) {
            *part = String::from_utf8(cell.into_owned()).ok()?;
        }
    }
    parts.iter().any(|part| !part.is_empty()).then_some(parts)
}
