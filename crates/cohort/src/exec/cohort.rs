//! From a person's events to periods of membership: limits, inclusion rules, ends, censoring, collapse.

use super::correlated::Index;
use super::counts::PersonMasks;
use super::person::Evaluator;
use super::{MISSING_DAY, add_days};
use crate::definition::{DateField, Limit};
use crate::plan::{At, CohortPlan, EndPlan};

/// An entry event with the observation period that it lies in.
#[derive(Debug, Clone, Copy)]
struct Entry {
    start: i32,
    end: i32,
    visit: i64,
    period: (i32, i32),
    sort: i32,
    id: i64,
}

impl Evaluator<'_> {
    /// The person's periods of membership, by start; what the inclusion rules made of the events goes to `masks`.
    pub(crate) fn periods_in(&self, plan: &CohortPlan, masks: &mut PersonMasks) -> Vec<(i32, i32)> {
        masks.clear();
        let mut entries = self.entries(plan);
        if let Some(group) = plan.additional {
            entries.retain(|entry| self.holds_at(group, entry));
        }
        limit(&mut entries, plan.qualified_limit);
        entries.retain(|entry| {
            let mut mask = 0_u64;
            for (rule, &group) in plan.rules.iter().enumerate() {
                mask |= u64::from(self.holds_at(group, entry)) << rule;
            }
            masks.add(mask, entry.start);
            mask == all_rules(plan)
        });
        limit(&mut entries, plan.expression_limit);
        if entries.is_empty() {
            return Vec::new();
        }
        let ends = self.ends(plan, &entries);
        let rows = entries.iter().zip(ends);
        let rows = rows
            .filter_map(|(entry, end)| Some((entry.start, end?)))
            .collect();
        censored(plan, collapsed(rows, plan.era_pad))
    }

    fn entries(&self, plan: &CohortPlan) -> Vec<Entry> {
        let mut entries = Vec::new();
        for &query in &plan.primary {
            for event in self.events(query) {
                for &period in &self.periods {
                    let (from, to) = period;
                    let day = event.start;
                    let observed = from <= day
                        && day <= to
                        && add_days(from, plan.prior_days) <= day
                        && add_days(day, plan.post_days) <= to;
                    if observed {
                        entries.push(Entry {
                            start: event.start,
                            end: event.end,
                            visit: event.visit,
                            period,
                            sort: event.sort,
                            id: event.id,
                        });
                    }
                }
            }
        }
        // Of equal events the one of the earlier criteria comes first.
        match plan.primary_limit {
            Limit::Last => entries.sort_by_key(|e| (std::cmp::Reverse(e.sort), e.id)),
            Limit::First | Limit::All => entries.sort_by_key(|e| (e.sort, e.id)),
        }
        if plan.primary_limit != Limit::All {
            entries.truncate(1);
        }
        entries
    }

    fn holds_at(&self, group: At, entry: &Entry) -> bool {
        self.group_holds(
            group,
            &Index {
                start: entry.start,
                end: entry.end,
                visit: entry.visit,
                periods: &[entry.period],
            },
        )
    }

    /// When membership ends for each entry; none where no end lies after it.
    fn ends(&self, plan: &CohortPlan, entries: &[Entry]) -> Vec<Option<i32>> {
        let eras = match plan.end {
            EndPlan::CustomEra { .. } => self.drug_eras(plan.end),
            _ => Vec::new(),
        };
        let end = |entry: &Entry| {
            let observed = entry.period.1;
            let by_strategy = match plan.end {
                EndPlan::ObservationEnd => observed,
                EndPlan::DateOffset { field, offset } => {
                    let from = match field {
                        DateField::Start => entry.start,
                        DateField::End => entry.end,
                    };
                    add_days(from, offset).min(observed)
                }
                EndPlan::CustomEra { .. } => {
                    let during = |era: &&(i32, i32)| era.0 <= entry.start && entry.start <= era.1;
                    let ends = eras.iter().filter(during).map(|era| era.1);
                    ends.min().map_or(observed, |end| end.min(observed))
                }
            };
            let mut end = Some(by_strategy).filter(|&end| end != MISSING_DAY && end >= entry.start);
            for &query in &plan.censoring {
                let events = self.events(query);
                let from = events.partition_point(|e| e.start < entry.start);
                if let Some(event) = events.get(from).filter(|e| e.start <= observed) {
                    end = Some(end.map_or(event.start, |end| end.min(event.start)));
                }
            }
            end
        };
        entries.iter().map(end).collect()
    }

    /// Eras of exposure to the drugs of an end strategy.
    fn drug_eras(&self, end: EndPlan) -> Vec<(i32, i32)> {
        let EndPlan::CustomEra {
            by_concept,
            by_source,
            gap_days,
            offset,
            days_supply,
        } = end
        else {
            return Vec::new();
        };
        let mut exposures = Vec::new();
        for leaf in [by_concept, by_source] {
            let Some(table) = self.table(self.plan.leaves[leaf].domain) else {
                continue;
            };
            for &row in &self.leaf_rows[leaf] {
                let row = row as usize;
                let start = table.starts[row];
                let end = match days_supply {
                    Some(days) => add_days(start, days),
                    None => table.ends[row],
                };
                exposures.push((start, add_days(end, offset)));
            }
        }
        collapsed(exposures, gap_days)
    }
}

fn all_rules(plan: &CohortPlan) -> u64 {
    // There are at most 62 rules: a definition with more is refused.
    (1_u64 << plan.rules.len()) - 1
}

/// Keeps the first or last of a person's entries by start, or all.
fn limit(entries: &mut Vec<Entry>, limit: Limit) {
    let kept = match limit {
        Limit::All => return,
        Limit::First => entries.iter().min_by_key(|e| e.start),
        // Of events on the same day the first is kept here too: `max_by_key` would take the last.
        Limit::Last => entries.iter().min_by_key(|e| std::cmp::Reverse(e.start)),
    };
    let kept = kept.copied();
    entries.clear();
    entries.extend(kept);
}

/// Joins periods between which there are at most `pad` days.
fn collapsed(mut periods: Vec<(i32, i32)>, pad: i32) -> Vec<(i32, i32)> {
    periods.sort_unstable();
    let mut joined: Vec<(i32, i32)> = Vec::with_capacity(periods.len());
    for (start, end) in periods {
        match joined.last_mut() {
            Some(last) if add_days(last.1, pad) >= start => last.1 = last.1.max(end),
            _ => joined.push((start, end)),
        }
    }
    joined
}

/// What lies within the definition's own window of days.
fn censored(plan: &CohortPlan, mut periods: Vec<(i32, i32)>) -> Vec<(i32, i32)> {
    if plan.window_start.is_none() && plan.window_end.is_none() {
        return periods;
    }
    for (start, end) in &mut periods {
        *start = plan.window_start.map_or(*start, |day| day.0.max(*start));
        *end = plan.window_end.map_or(*end, |day| day.0.min(*end));
    }
    periods.retain(|(start, end)| start <= end);
    periods
}
