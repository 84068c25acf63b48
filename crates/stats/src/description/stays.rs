//! Hospital stays: episodes of care, their length, and unplanned readmission.
//!
//! The definition follows the hospital-wide readmission measure of the US Centers for Medicare & Medicaid Services,
//! without its case-mix model:
//!
//! - **Episode.** Stays of a person that overlap, or of which one begins on the day the other ends, are one episode. Where
//!   facilities are known, a stay in another facility that begins on the day after is a transfer and belongs to it too.
//!   An episode begins with its first admission, is planned if that admission was, and ends with its last discharge,
//!   whose stay says whether the person died or is left out.
//! - **Length.** Days from admission to discharge; an episode that ends on its first day has length 0.
//! - **Index episode.** One that ended with the person alive, that is not left out (transferred to care outside the data,
//!   left against advice), and after which the person was observed for the whole window. An episode can be the
//!   readmission of the one before it and an index episode itself.
//! - **Readmission.** The next episode, if it begins within the window (30 days) and was not planned. If the next
//!   one was planned, those after it do not count: they may follow from the planned one.
//!
//! A stay without discharge is still going on: it is no index episode, but it is the readmission of the one before.

use crate::tables::proportion::Proportion;
use crate::{Error, Estimate, Result, Summary};

/// One stay in one facility. Days are counted from any fixed day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stay {
    /// The person.
    pub person: i64,
    /// The day of admission.
    pub admission: i32,
    /// The day of discharge; `None` for a stay that is going on, the latest of all.
    pub discharge: Option<i32>,
    /// Whether the admission was planned.
    pub planned: bool,
    /// Whether the person died in this stay.
    pub died: bool,
    /// Whether an episode that ends with this stay is to be no index episode, for another reason.
    pub excluded: bool,
    /// The facility, where known.
    pub facility: Option<i64>,
    /// The last day on which a readmission would be seen; `None` for no such limit.
    pub observed_until: Option<i32>,
}

/// All stays seen. Persons may be spread over several summaries, so every stay is kept until all are together.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Stays {
    stays: Vec<Stay>,
}

/// Consecutive stays as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Episode {
    /// The person.
    pub person: i64,
    /// The first day.
    pub admission: i32,
    /// The last day; `None` if it is going on.
    pub discharge: Option<i32>,
    /// How many stays it is made of.
    pub stays: u32,
    /// Whether it was planned.
    pub planned: bool,
    /// Whether the person died in it.
    pub died: bool,
    /// Why it is no index episode, if it is none.
    pub exclusion: Option<Exclusion>,
    /// Days from discharge to the next episode of the person, whatever its kind.
    pub next_after: Option<i64>,
    /// Whether the next episode is an unplanned readmission within the window. Only for index episodes.
    pub readmitted: bool,
    /// Whether the next episode is within the window, but planned. Only for index episodes.
    pub planned_readmission: bool,
}

/// Why an episode is no index episode; the first that applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Exclusion {
    /// It is going on.
    Ongoing,
    /// The person died in it.
    Died,
    /// It was left out by the caller.
    Other,
    /// The person was not observed for the whole window after it.
    ShortFollowUp,
}

impl Episode {
    /// Days from admission to discharge.
    #[must_use]
    pub fn length(&self) -> Option<i64> {
        self.discharge
            .map(|discharge| i64::from(discharge) - i64::from(self.admission))
    }
}

/// How often an index episode is followed by an unplanned readmission.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Readmission {
    /// Persons with a stay.
    pub persons: u64,
    /// Episodes.
    pub episodes: u64,
    /// Index episodes, and those among them that were followed by an unplanned readmission.
    pub index: Proportion,
    /// Index episodes that were followed by a planned one within the window.
    pub planned: u64,
    /// Episodes that are no index episodes: going on, died, left out, not observed long enough.
    pub excluded: [u64; 4],
}

impl Readmission {
    /// Counts episodes.
    #[must_use]
    pub fn of(episodes: &[Episode]) -> Self {
        let mut found = Self::default();
        let mut last = None;
        for episode in episodes {
            if last != Some(episode.person) {
                found.persons += 1;
                last = Some(episode.person);
            }
            found.episodes += 1;
            match episode.exclusion {
                Some(reason) => found.excluded[reason as usize] += 1,
                None => {
                    found.index.add(episode.readmitted);
                    found.planned += u64::from(episode.planned_readmission);
                }
            }
        }
        found
    }

    /// The share of index episodes with Wilson's interval; NaN without index episodes.
    ///
    /// # Errors
    /// A confidence level outside (0, 1).
    pub fn rate(&self, conf_level: f64) -> Result<Estimate> {
        if self.index.trials == 0 {
            let nan = f64::NAN;
            return Ok(Estimate {
                value: nan,
                lower: nan,
                upper: nan,
            });
        }
        self.index.wilson(conf_level)
    }
}

impl Stays {
    /// Takes in a stay.
    ///
    /// # Errors
    /// [`Error::InvalidStay`]: a discharge before the admission.
    #[inline]
    pub fn add(&mut self, stay: Stay) -> Result<()> {
        if stay
            .discharge
            .is_some_and(|discharge| discharge < stay.admission)
        {
            return Err(Error::InvalidStay);
        }
        self.stays.push(stay);
        Ok(())
    }

    /// The stays seen, in no particular order.
    #[must_use]
    pub fn stays(&self) -> &[Stay] {
        &self.stays
    }

    /// Episodes by person and day, with their readmissions within `window` days.
    #[must_use]
    pub fn episodes(&self, window: u32) -> Vec<Episode> {
        let mut stays = self.stays.clone();
        // Every field takes part, so that the order does not depend on how the rows arrived. A stay that is going on
        // comes last among those of its day.
        stays.sort_unstable_by_key(|stay| {
            let ends = stay.discharge.map_or(i64::MAX, i64::from);
            (stay.person, stay.admission, ends, *stay)
        });
        let mut episodes: Vec<Open> = Vec::new();
        for stay in stays {
            match episodes.last_mut() {
                Some(open) if open.continues_with(&stay) => open.take(stay),
                _ => episodes.push(Open::new(stay)),
            }
        }
        let window = i64::from(window);
        (0..episodes.len())
            .map(|at| {
                let next = episodes
                    .get(at + 1)
                    .filter(|next| next.first.person == episodes[at].first.person);
                episodes[at].close(next, window)
            })
            .collect()
    }

    /// Bytes on the heap.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.stays.capacity() * size_of::<Stay>()
    }
}

impl Summary for Stays {
    fn merge(&mut self, mut other: Self) {
        if self.stays.len() < other.stays.len() {
            std::mem::swap(&mut self.stays, &mut other.stays);
        }
        self.stays.append(&mut other.stays);
    }

    fn is_empty(&self) -> bool {
        self.stays.is_empty()
    }
}

/// An episode while its stays come in order of admission.
#[derive(Debug, Clone, Copy)]
struct Open {
    first: Stay,
    /// The stay that ends last.
    last: Stay,
    died: bool,
    stays: u32,
}

/// The later end; a stay that is going on ends after all others.
fn later(a: Option<i32>, b: Option<i32>) -> bool {
    match (a, b) {
        (None, _) => b.is_some(),
        (Some(_), None) => false,
        (Some(a), Some(b)) => a > b,
    }
}

impl Open {
    fn new(stay: Stay) -> Self {
        Self {
            first: stay,
            last: stay,
            died: stay.died,
            stays: 1,
        }
    }

    fn continues_with(&self, stay: &Stay) -> bool {
        if self.first.person != stay.person {
            return false;
        }
        let Some(end) = self.last.discharge else {
            return true;
        };
        let transfer = matches!(
            (self.last.facility, stay.facility),
            (Some(from), Some(to)) if from != to
        );
        stay.admission <= end || (transfer && i64::from(stay.admission) == i64::from(end) + 1)
    }

    fn take(&mut self, stay: Stay) {
        self.stays = self.stays.saturating_add(1);
        self.died |= stay.died;
        // Of stays that end on one day the one that began later is where the person left from.
        if !later(self.last.discharge, stay.discharge) {
            self.last = stay;
        }
    }

    fn close(&self, next: Option<&Self>, window: i64) -> Episode {
        let discharge = self.last.discharge;
        let next_after = discharge
            .zip(next)
            .map(|(discharge, next)| i64::from(next.first.admission) - i64::from(discharge));
        let observed = discharge.is_none_or(|discharge| {
            self.last
                .observed_until
                .is_none_or(|until| i64::from(until) >= i64::from(discharge) + window)
        });
        let exclusion = if discharge.is_none() {
            Some(Exclusion::Ongoing)
        } else if self.died {
            Some(Exclusion::Died)
        } else if self.last.excluded {
            Some(Exclusion::Other)
        } else if observed {
            None
        } else {
            Some(Exclusion::ShortFollowUp)
        };
        let soon = exclusion.is_none() && next_after.is_some_and(|days| days <= window);
        let planned = next.is_some_and(|next| next.first.planned);
        Episode {
            person: self.first.person,
            admission: self.first.admission,
            discharge,
            stays: self.stays,
            planned: self.first.planned,
            died: self.died,
            exclusion,
            next_after,
            readmitted: soon && !planned,
            planned_readmission: soon && planned,
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn stay(person: i64, admission: i32, discharge: i32) -> Stay {
        Stay {
            person,
            admission,
            discharge: Some(discharge),
            planned: false,
            died: false,
            excluded: false,
            facility: None,
            observed_until: None,
        }
    }

    fn stays(all: &[Stay]) -> Stays {
        let mut stays = Stays::default();
        for stay in all {
            stays.add(*stay).unwrap();
        }
        stays
    }

    #[test]
    fn the_window_ends_on_its_last_day() {
        for (days, readmitted) in [(1, true), (30, true), (31, false)] {
            let episodes = stays(&[stay(1, 0, 5), stay(1, 5 + days, 40)]).episodes(30);
            assert_eq!(episodes[0].readmitted, readmitted, "{days}");
            assert_eq!(episodes[0].next_after, Some(i64::from(days)));
            assert_eq!(episodes[0].length(), Some(5));
        }
        // Another person's stay is nobody's readmission.
        let episodes = stays(&[stay(1, 0, 5), stay(2, 10, 12)]).episodes(30);
        assert!(!episodes[0].readmitted && episodes[0].next_after.is_none());
    }

    #[test]
    fn overlapping_and_touching_stays_are_one_episode() {
        let merged = stays(&[
            stay(1, 0, 10),
            stay(1, 2, 4),
            stay(1, 8, 12),
            stay(1, 12, 15),
            stay(1, 16, 20),
        ])
        .episodes(30);
        assert_eq!(merged.len(), 2);
        assert_eq!((merged[0].stays, merged[0].discharge), (4, Some(15)));
        assert!(merged[0].readmitted);
    }

    #[test]
    fn a_transfer_needs_another_facility_the_next_day() {
        let at = |facility: i64, admission, discharge| Stay {
            facility: Some(facility),
            ..stay(1, admission, discharge)
        };
        assert_eq!(stays(&[at(1, 0, 5), at(2, 6, 9)]).episodes(30).len(), 1);
        assert_eq!(stays(&[at(1, 0, 5), at(1, 6, 9)]).episodes(30).len(), 2);
        assert_eq!(stays(&[at(1, 0, 5), at(2, 7, 9)]).episodes(30).len(), 2);
    }

    #[test]
    fn the_dead_the_left_out_and_the_unobserved_are_no_index() {
        let of = |first: Stay| Readmission::of(&stays(&[first, stay(1, 20, 25)]).episodes(30));
        let plain = stay(1, 0, 5);
        assert_eq!(
            of(plain).index,
            Proportion {
                events: 1,
                trials: 2
            }
        );
        let excluded = |first: Stay| of(first).excluded;
        let died = Stay {
            died: true,
            ..plain
        };
        assert_eq!(excluded(died), [0, 1, 0, 0]);
        let left = Stay {
            excluded: true,
            ..plain
        };
        assert_eq!(excluded(left), [0, 0, 1, 0]);
        let until = |day: i32| Stay {
            observed_until: Some(day),
            ..plain
        };
        assert_eq!(excluded(until(34)), [0, 0, 0, 1]);
        assert_eq!(excluded(until(35)), [0; 4]);
    }

    #[test]
    fn a_planned_stay_ends_the_search() {
        let planned = Stay {
            planned: true,
            ..stay(1, 10, 12)
        };
        let episodes = stays(&[stay(1, 0, 5), planned, stay(1, 20, 22)]).episodes(30);
        assert!(!episodes[0].readmitted && episodes[0].planned_readmission);
        assert!(episodes[1].readmitted, "of the planned stay itself");
    }

    #[test]
    fn a_stay_that_goes_on_is_a_readmission_but_no_index() {
        let open = Stay {
            discharge: None,
            ..stay(1, 10, 10)
        };
        let episodes = stays(&[stay(1, 0, 5), open, stay(1, 30, 31)]).episodes(30);
        assert_eq!(episodes.len(), 2, "nothing begins after a stay without end");
        assert!(episodes[0].readmitted);
        assert_eq!(episodes[1].exclusion, Some(Exclusion::Ongoing));
        assert_eq!(episodes[1].length(), None);
    }

    #[test]
    fn parts_make_the_whole_in_any_order() {
        let all: Vec<Stay> = (0..200)
            .map(|i: i32| Stay {
                planned: i % 7 == 0,
                died: i % 41 == 0,
                facility: Some(i64::from(i % 3)),
                ..stay(i64::from(i % 23), i * 37 % 400, i * 37 % 400 + i % 9)
            })
            .collect();
        let whole = stays(&all).episodes(30);
        for cut in [0, 1, 57, 200] {
            let (mut right, left) = (stays(&all[cut..]), stays(&all[..cut]));
            let mut swapped = left.clone();
            swapped.merge(right.clone());
            right.merge(left);
            assert_eq!(right.episodes(30), whole);
            assert_eq!(swapped.episodes(30), whole);
        }
    }

    #[test]
    fn nothing_and_nonsense() {
        assert!(Stays::default().episodes(30).is_empty());
        assert!(Readmission::default().rate(0.95).unwrap().value.is_nan());
        assert_eq!(Stays::default().add(stay(1, 5, 4)), Err(Error::InvalidStay));
        // The ends of the calendar do not overflow.
        let far = stays(&[stay(1, i32::MIN, i32::MIN), stay(1, i32::MAX, i32::MAX)]).episodes(30);
        assert!(!far[0].readmitted);
        assert_eq!(far[0].next_after, Some((1 << 32) - 1));
    }
}
