//! What inclusion rules made of events and persons, as ATLAS shows it.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use crate::plan::CohortPlan;

/// The rules that a person's events meet, as masks: bit 0 is the first rule.
#[derive(Debug, Default)]
pub(crate) struct PersonMasks(Vec<(u64, i32)>);

impl PersonMasks {
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn add(&mut self, mask: u64, start: i32) {
        self.0.push((mask, start));
    }

    /// The event that meets the most rules, then the one that meets an earlier rule, then the earliest.
    fn best(&self) -> Option<u64> {
        let order = |(mask, start): &&(u64, i32)| {
            let first_rule = if *mask == 0 { 0 } else { mask.trailing_zeros() };
            (std::cmp::Reverse(mask.count_ones()), first_rule, *start)
        };
        self.0.iter().min_by_key(order).map(|(mask, _)| *mask)
    }
}

/// Counts of one definition, which may be added up.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    /// Events and persons by mask; a person counts once, with the best event.
    masks: HashMap<u64, (u64, u64)>,
    members: u64,
    rows: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, person: &PersonMasks, rows: usize) {
        for (mask, _) in &person.0 {
            self.masks.entry(*mask).or_default().0 += 1;
        }
        if let Some(best) = person.best() {
            self.masks.entry(best).or_default().1 += 1;
        }
        self.members += u64::from(rows > 0);
        self.rows += rows as u64;
    }

    pub(crate) fn merge(&mut self, other: Self) {
        for (mask, (events, persons)) in other.masks {
            let counts = self.masks.entry(mask).or_default();
            counts.0 += events;
            counts.1 += persons;
        }
        self.members += other.members;
        self.rows += other.rows;
    }

    pub(crate) fn attrition(self, plan: &CohortPlan) -> Attrition {
        let masks: BTreeMap<u64, (u64, u64)> = self.masks.into_iter().collect();
        let sum = |keep: &dyn Fn(u64) -> bool| {
            let kept = masks.iter().filter(|(mask, _)| keep(**mask));
            kept.fold((0, 0), |sum, (_, counts)| {
                (sum.0 + counts.0, sum.1 + counts.1)
            })
        };
        let all = (1_u64 << plan.rules.len()) - 1;
        let (events, persons) = sum(&|_| true);
        let rules = plan.rule_names.iter().enumerate().map(|(at, name)| {
            let bit = 1_u64 << at;
            let up_to = (bit << 1) - 1;
            let (meeting, gained) = (sum(&|m| m & bit != 0), sum(&|m| m == all & !bit));
            let left = sum(&|m| m & up_to == up_to);
            RuleCount {
                rule: at + 1,
                name: name.clone(),
                events: meeting.0,
                persons: meeting.1,
                gain_events: gained.0,
                gain_persons: gained.1,
                left_events: left.0,
                left_persons: left.1,
            }
        });
        let (final_events, final_persons) = sum(&|m| m == all);
        Attrition {
            cohort_definition_id: plan.id,
            name: plan.name.clone(),
            events,
            persons,
            rules: rules.collect(),
            final_events,
            final_persons,
            members: self.members,
            rows: self.rows,
            masks: masks
                .iter()
                .map(|(&mask, &(events, persons))| MaskCount {
                    mask,
                    events,
                    persons,
                })
                .collect(),
        }
    }
}

/// What became of a definition's entry events and of the persons who have them.
///
/// A person counts with the best event: the one that meets the most rules, of those the one that meets an
/// earlier rule, of those the earliest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Attrition {
    /// The definition.
    pub cohort_definition_id: i64,
    /// Its name.
    pub name: String,
    /// Qualified entry events, before inclusion rules.
    pub events: u64,
    /// Persons who have any.
    pub persons: u64,
    /// The inclusion rules, in order.
    pub rules: Vec<RuleCount>,
    /// Events that meet all rules.
    pub final_events: u64,
    /// Persons who have any.
    pub final_persons: u64,
    /// Persons in the cohort, once limits, ends and windows are taken.
    pub members: u64,
    /// Periods of membership.
    pub rows: u64,
    /// Events and persons by the rules that they meet.
    pub masks: Vec<MaskCount>,
}

/// What one inclusion rule does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuleCount {
    /// Its number, from 1.
    pub rule: usize,
    /// Its name.
    pub name: String,
    /// Events that meet it.
    pub events: u64,
    /// Persons whose best event meets it.
    pub persons: u64,
    /// Events that meet every rule but this one: what would be gained without it.
    pub gain_events: u64,
    /// Persons whose best event meets every rule but this one.
    pub gain_persons: u64,
    /// Events that meet this rule and all before it.
    pub left_events: u64,
    /// Persons whose best event meets this rule and all before it.
    pub left_persons: u64,
}

/// How many events and persons meet exactly these rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct MaskCount {
    /// The rules: bit 0 is the first.
    pub mask: u64,
    /// Events.
    pub events: u64,
    /// Persons, each with the best event.
    pub persons: u64,
}
