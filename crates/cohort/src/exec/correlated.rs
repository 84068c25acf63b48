//! Groups of criteria around an index event.

use super::events::Event;
use super::person::Evaluator;
use super::{MISSING, MISSING_DAY, add_days};
use crate::definition::{DateField, Endpoint, GroupKind, OccurrenceKind};
use crate::plan::{At, CorrelatedPlan, CountPlan, WindowPlan};

/// An index event.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Index<'a> {
    pub(crate) start: i32,
    /// May be missing.
    pub(crate) end: i32,
    /// May be missing.
    pub(crate) visit: i64,
    /// The observation periods that it lies in, at least one. An event of nested criteria may lie in several
    /// overlapping ones; Circe's joins then have it once for each, and so do the counts here.
    pub(crate) periods: &'a [(i32, i32)],
}

impl Index<'_> {
    fn date(&self, field: DateField) -> i32 {
        match field {
            DateField::Start => self.start,
            DateField::End => self.end,
        }
    }
}

impl Evaluator<'_> {
    /// Whether a group holds at an index event.
    pub(crate) fn group_holds(&self, group: At, index: &Index<'_>) -> bool {
        let plan = &self.plan.groups[group];
        if plan.is_empty() {
            return true;
        }
        let copies = count(index.periods.len());
        let single = copies == 1;
        let mut met = 0_i64;
        let criteria = plan.criteria.iter();
        let demographics = plan.demographics.iter();
        let of_criteria = criteria.map(|c| i64::from(self.correlated_holds(c, index)));
        let of_demographics = demographics.map(|tests| {
            let holds = self.facts.known
                && tests
                    .iter()
                    .all(|test| self.holds_for(test, None, index.start, index.end));
            i64::from(holds)
        });
        let of_groups = plan.groups.iter().map(|&inner| {
            if self.plan.groups[inner].is_empty() {
                copies
            } else {
                i64::from(self.group_holds(inner, index))
            }
        });
        for holds in of_criteria.chain(of_demographics).chain(of_groups) {
            met += holds;
            match plan.kind {
                GroupKind::All if single && holds == 0 => return false,
                GroupKind::Any if holds > 0 => return true,
                _ => {}
            }
        }
        let rows = met * copies;
        match plan.kind {
            GroupKind::All => rows == count(plan.len()),
            GroupKind::Any => rows > 0,
            GroupKind::AtLeast(0) => true,
            GroupKind::AtLeast(least) => rows > 0 && rows >= i64::from(least),
            GroupKind::AtMost(most) => rows <= i64::from(most),
        }
    }

    fn correlated_holds(&self, plan: &CorrelatedPlan, index: &Index<'_>) -> bool {
        let events = self.events(plan.query);
        // Circe joins from the inside where at least one event is needed, so that none fails whatever the count.
        let inner = plan.kind != OccurrenceKind::AtMost && plan.count != 0;
        let enough = match plan.kind {
            OccurrenceKind::AtLeast if plan.distinct.is_none() => plan.count.max(1),
            _ => i64::MAX,
        };
        let mut rows = 0_i64;
        let mut values = Vec::new();
        for &period in index.periods {
            let bounds = Bounds::of(plan, index, period);
            let from = events.partition_point(|e| e.start < bounds.earliest);
            for event in &events[from..] {
                if event.start > bounds.latest {
                    break;
                }
                if !bounds.hold(plan, index, event) {
                    continue;
                }
                rows += 1;
                if let Some(distinct) = plan.distinct {
                    values.extend(self.value(distinct, event));
                } else if rows >= enough {
                    return true;
                }
            }
        }
        if inner && rows == 0 {
            return false;
        }
        let found = if plan.distinct.is_some() {
            values.sort_unstable();
            values.dedup();
            count(values.len())
        } else {
            rows
        };
        match plan.kind {
            OccurrenceKind::Exactly => found == plan.count,
            OccurrenceKind::AtMost => found <= plan.count,
            OccurrenceKind::AtLeast => found >= plan.count,
        }
    }

    /// The value that is counted of an event; none where it is missing.
    fn value(&self, plan: CountPlan, event: &Event) -> Option<i64> {
        let day = |day: i32| (day != MISSING_DAY).then(|| i64::from(day));
        let row = event.row as usize;
        match plan {
            CountPlan::Start => day(event.start),
            CountPlan::End => day(event.end),
            CountPlan::Visit => (event.visit != MISSING).then_some(event.visit),
            CountPlan::Duration => Some(day(event.end)? - day(event.start)?),
            CountPlan::One => Some(1),
            CountPlan::Column { domain, column } => {
                let table = self.table(domain)?;
                let integer = table.integer(column, row);
                if integer != MISSING {
                    return Some(integer);
                }
                let number = table.number(column, row);
                // Zero and negative zero are one value.
                (!number.is_nan()).then(|| (number + 0.0).to_bits().cast_signed())
            }
            CountPlan::ConceptOrZero { domain, column } => {
                let concept = self.table(domain)?.integer(column, row);
                Some(if concept == MISSING { 0 } else { concept })
            }
        }
    }
}

/// What the windows leave of a person's days, for one of the index event's observation periods.
struct Bounds {
    earliest: i32,
    latest: i32,
    /// Bounds of the events' end.
    ends: Option<(i32, i32)>,
}

impl Bounds {
    fn of(plan: &CorrelatedPlan, index: &Index<'_>, period: (i32, i32)) -> Self {
        let mut bounds = Self {
            earliest: MISSING_DAY,
            latest: i32::MAX,
            ends: None,
        };
        if plan.within_period {
            (bounds.earliest, bounds.latest) = period;
        }
        for window in &plan.windows {
            let (from, to) = days(window, index, period);
            match window.event {
                DateField::Start => {
                    bounds.earliest = bounds.earliest.max(from);
                    bounds.latest = bounds.latest.min(to);
                }
                DateField::End => {
                    let (earliest, latest) = bounds.ends.unwrap_or((MISSING_DAY + 1, i32::MAX));
                    bounds.ends = Some((earliest.max(from), latest.min(to)));
                }
            }
        }
        bounds
    }

    fn hold(&self, plan: &CorrelatedPlan, index: &Index<'_>, event: &Event) -> bool {
        let ends = self.ends.is_none_or(|(from, to)| {
            event.end != MISSING_DAY && from <= event.end && event.end <= to
        });
        ends && (!plan.restrict_visit || event.visit != MISSING && event.visit == index.visit)
    }
}

/// The first and last day of a window; no day at all where the index date is missing.
fn days(window: &WindowPlan, index: &Index<'_>, period: (i32, i32)) -> (i32, i32) {
    const NEVER: (i32, i32) = (i32::MAX, MISSING_DAY);
    let date = index.date(window.index);
    let day = |endpoint| match endpoint {
        Endpoint::Days(days) => add_days(date, days),
        Endpoint::AllBefore => period.0,
        Endpoint::AllAfter => period.1,
    };
    let from = window.from.map_or(MISSING_DAY + 1, day);
    let to = window.to.map_or(i32::MAX, day);
    if from == MISSING_DAY || to == MISSING_DAY {
        return NEVER;
    }
    (from, to)
}

fn count(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}
