//! The events of criteria: a leaf's records, tested, with the dates that the criteria give them.

use super::correlated::Index;
use super::person::Evaluator;
use super::table::Table;
use super::{MISSING_DAY, add_days};
use crate::definition::DateField;
use crate::domain::Domain;
use crate::plan::{At, Query};

/// An event of some criteria.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Event {
    pub(crate) start: i32,
    /// May be missing.
    pub(crate) end: i32,
    /// The date that entry events are ordered by.
    pub(crate) sort: i32,
    pub(crate) row: u32,
    pub(crate) id: i64,
    /// May be missing.
    pub(crate) visit: i64,
}

impl Evaluator<'_> {
    /// The person's events of a query, by start.
    pub(crate) fn events(&self, query: At) -> &[Event] {
        self.memo[query].get_or_init(|| {
            let events = self.find(&self.plan.queries[query]);
            self.touched_queries.borrow_mut().push(query);
            events
        })
    }

    /// The table of a domain, and nothing where the store has none.
    pub(crate) fn table(&self, domain: Domain) -> Option<&Table> {
        self.bucket.tables.get(domain as usize)?.as_ref()
    }

    fn find(&self, query: &Query) -> Vec<Event> {
        let rows = self.leaf_rows[query.leaf].as_slice();
        let domain = self.plan.leaves[query.leaf].domain;
        let Some(table) = self.table(domain).filter(|_| !rows.is_empty()) else {
            return Vec::new();
        };
        let first;
        let rows = if query.first {
            // The first of these concepts, whatever else is asked of it.
            let order = |row: &&u32| (table.starts[**row as usize], table.ids[**row as usize]);
            first = rows.iter().min_by_key(order).copied();
            first.as_slice()
        } else {
            rows
        };
        let mut events: Vec<Event> = rows
            .iter()
            .filter_map(|&row| self.event(query, domain, table, row))
            .collect();
        if !events.is_sorted_by_key(|e| e.start) {
            events.sort_by_key(|e| e.start);
        }
        events
    }

    fn event(&self, query: &Query, domain: Domain, table: &Table, row: u32) -> Option<Event> {
        let at = row as usize;
        let (mut start, mut end) = (table.starts[at], table.ends[at]);
        if let Some(adjust) = query.adjust {
            let side = |field, days| {
                let day = match field {
                    DateField::Start => table.starts[at],
                    DateField::End => table.ends[at],
                };
                add_days(day, days)
            };
            start = side(adjust.start_with, adjust.start_offset);
            end = side(adjust.end_with, adjust.end_offset);
            if start == MISSING_DAY || end == MISSING_DAY || end < start {
                return None;
            }
        }
        let mut tests = query.tests.iter();
        if !tests.all(|test| self.holds_for(test, Some((table, at)), start, end)) {
            return None;
        }
        let sort = start;
        for day in [query.period.start, query.period.end].into_iter().flatten() {
            if end == MISSING_DAY || start > day.0 || end < day.0 {
                return None;
            }
        }
        start = query.period.start.map_or(start, |day| day.0);
        end = query.period.end.map_or(end, |day| day.0);
        let event = Event {
            start,
            end,
            sort,
            row,
            // A death is known by its person alone.
            id: if domain == Domain::Death {
                self.facts.id
            } else {
                table.ids[at]
            },
            visit: table.visit(at),
        };
        let holds = query.group.is_none_or(|group| {
            let periods = self.periods_of(start);
            !periods.is_empty()
                && self.group_holds(
                    group,
                    &Index {
                        start,
                        end,
                        visit: event.visit,
                        periods: &periods,
                    },
                )
        });
        holds.then_some(event)
    }

    /// The observation periods that hold a day; more than one where they overlap.
    fn periods_of(&self, day: i32) -> Vec<(i32, i32)> {
        let holding = self.periods.iter().filter(|(s, e)| *s <= day && day <= *e);
        holding.copied().collect()
    }
}
