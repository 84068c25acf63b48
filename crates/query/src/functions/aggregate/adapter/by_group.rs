//! Summaries of several groups, within strata: what a test between groups keeps.

use std::cmp::Ordering;
use std::collections::HashMap;

use columna_stats::Grouped;
use columna_stats::survival::EventTimes;
use datafusion::common::{DataFusionError, Result};

use super::event_rows::EventRows;
use super::rows::{BatchRows, RowSummary, refused};
use super::state::{State, StateBuilder};

/// The label of a group or a stratum. Numbers come in their own order, before words in theirs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Label(pub(crate) String);

impl Label {
    fn number(&self) -> Option<i64> {
        self.0.parse().ok()
    }
}

impl Ord for Label {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.number(), other.number()) {
            (Some(mine), Some(theirs)) => mine.cmp(&theirs).then_with(|| self.0.cmp(&other.0)),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => self.0.cmp(&other.0),
        }
    }
}

impl PartialOrd for Label {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Times and events by stratum and group.
pub(crate) type GroupedTimes = Grouped<(Label, Label), EventTimes>;

fn key(rows: &EventRows, row: usize) -> (Label, Label) {
    let (stratum, group) = rows.labels(row);
    (Label(stratum.to_owned()), Label(group.to_owned()))
}

fn corrupt() -> DataFusionError {
    DataFusionError::Internal(
        "the partial state of a comparison between groups is cut short".to_owned(),
    )
}

/// Up to this many pairs of labels are looked for one after another: for two arms, hashing each row's labels costs more
/// than all that is done with the row.
const FEW_PAIRS: usize = 8;

/// Rows by stratum and group, in their order: each pair of labels is copied once, not once per row.
fn by_pair(rows: &EventRows, selected: impl Iterator<Item = usize>) -> Vec<Vec<usize>> {
    let mut pairs: Vec<((&str, &str), Vec<usize>)> = Vec::new();
    let mut places: HashMap<(&str, &str), usize> = HashMap::new();
    for row in selected {
        let labels = rows.labels(row);
        let known = if pairs.len() <= FEW_PAIRS {
            let same = |known: (&str, &str)| same(known.0, labels.0) && same(known.1, labels.1);
            pairs.iter().position(|(known, _)| same(*known))
        } else {
            places.get(&labels).copied()
        };
        let place = known.unwrap_or_else(|| {
            places.insert(labels, pairs.len());
            pairs.push((labels, Vec::new()));
            pairs.len() - 1
        });
        pairs[place].1.push(row);
    }
    pairs.into_iter().map(|(_, members)| members).collect()
}

/// Whether two labels are equal, in line: they are short, and a call for each costs more than comparing them.
fn same(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).all(|(a, b)| a == b)
}

impl RowSummary for GroupedTimes {
    type Rows = EventRows;

    fn add_row(&mut self, rows: &EventRows, row: usize) -> Result<()> {
        self.entry(key(rows, row)).add_row(rows, row)
    }

    fn add_rows(&mut self, rows: &EventRows, selected: &[usize]) -> Result<()> {
        let mut pairs = by_pair(rows, selected.iter().copied()).into_iter();
        pairs.try_for_each(|members| {
            members.first().map_or(Ok(()), |first| {
                self.entry(key(rows, *first)).add_rows(rows, &members)
            })
        })
    }

    fn add_all(&mut self, rows: &EventRows) -> Result<()> {
        self.add_rows(rows, &rows.counted().iter().collect::<Vec<_>>())
    }

    /// Each group's parts one after another, in front of them how long they are.
    fn write(&self, state: &mut StateBuilder) {
        let (mut ints, mut floats, mut labels) = (Vec::new(), Vec::new(), Vec::new());
        for ((stratum, group), times) in self.iter() {
            let parts = times.to_parts();
            ints.extend([parts.ints.len() as u64, parts.floats.len() as u64]);
            ints.extend(parts.ints);
            floats.extend(parts.floats);
            labels.extend([stratum.0.as_str(), group.0.as_str()]);
        }
        state.append(&ints, &floats, &labels);
    }

    fn read(&mut self, state: &State) -> Result<()> {
        let (mut ints, mut floats) = (state.ints, state.floats);
        let mut labels = state.labels.iter().flatten();
        while let (Some(stratum), Some(group)) = (labels.next(), labels.next()) {
            let (lengths, rest) = ints.split_first_chunk::<2>().ok_or_else(corrupt)?;
            let [whole, broken] =
                lengths.map(|length| usize::try_from(length).unwrap_or(usize::MAX));
            let (group_ints, rest) = rest.split_at_checked(whole).ok_or_else(corrupt)?;
            let (group_floats, floats_left) =
                floats.split_at_checked(broken).ok_or_else(corrupt)?;
            let key = (Label(stratum.to_owned()), Label(group.to_owned()));
            let entry = self.entry(key);
            entry
                .merge_parts(group_ints, group_floats)
                .map_err(|error| refused(&error))?;
            (ints, floats) = (rest, floats_left);
        }
        Ok(())
    }

    fn heap_bytes(&self) -> usize {
        let group = |(key, times): (&(Label, Label), &EventTimes)| {
            let labels = key.0.0.capacity() + key.1.0.capacity();
            size_of::<((Label, Label), EventTimes)>() + labels + times.heap_bytes()
        };
        self.iter().map(group).sum()
    }
}
