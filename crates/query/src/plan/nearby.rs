//! Which rows of one key can be within the bounds that a row of the other side sets: `b.at BETWEEN a.begin AND a.end`.
//!
//! Patients in intensive care have thousands of measurements and dozens of stays, and nearly all pairs of them are of
//! different days. Rows in the order of what must be at most something end where it is more; and the greatest so far of what must be at
//! least something tells where they begin. The condition decides about the pairs that are left.

use std::ops::Range;

use arrow::array::{Array, AsArray, Int64Array};
use arrow::datatypes::Int64Type;
use datafusion::common::{JoinSide, Result};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExprRef;
use datafusion::physical_expr::expressions::{BinaryExpr, Column};
use datafusion::physical_expr::utils::split_conjunction;
use datafusion::physical_plan::joins::utils::JoinFilter;

use super::keys;
use super::sorted_input::Piece;

/// Fewer rows are looked at one by one.
const FEW: usize = 8;

/// Two columns that are compared: one of the side whose rows are looked for, and one of the driving side.
pub(super) type Pair = (usize, usize);

/// What is the most, and what the least, that a row can be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// The first is at most the second.
    upper: Option<Pair>,
    /// The first is at least the second.
    lower: Option<Pair>,
}

impl Bounds {
    /// Those of a condition whose comparisons are of columns.
    pub(super) fn of(condition: &JoinFilter, driver: JoinSide) -> Option<Self> {
        let (mut upper, mut lower) = (Vec::new(), Vec::new());
        for part in split_conjunction(condition.expression()) {
            match compared(part, condition, driver) {
                Some((Operator::Lt | Operator::LtEq, pair)) => upper.push(pair),
                Some((Operator::Gt | Operator::GtEq, pair)) => lower.push(pair),
                Some((Operator::Eq, pair)) => {
                    upper.push(pair);
                    lower.push(pair);
                }
                _ => {}
            }
        }
        // Best are two bounds of one column.
        let both = upper.iter().find_map(|upper| {
            let lower = lower.iter().find(|lower| lower.0 == upper.0)?;
            Some((*upper, *lower))
        });
        let (upper, lower) = match both {
            Some((upper, lower)) => (Some(upper), Some(lower)),
            None => (upper.first().copied(), lower.first().copied()),
        };
        (upper.is_some() || lower.is_some()).then_some(Self { upper, lower })
    }

    /// Whether there is a most and a least.
    pub(super) fn are_two(self) -> bool {
        self.upper.is_some() && self.lower.is_some()
    }
}

/// How a column of the side whose rows are looked for stands to one of the driving side, and which they are; none where a condition is
/// of anything else.
pub(super) fn compared(
    part: &PhysicalExprRef,
    condition: &JoinFilter,
    driver: JoinSide,
) -> Option<(Operator, Pair)> {
    let part = part.downcast_ref::<BinaryExpr>()?;
    let left = part.left().downcast_ref::<Column>()?.index();
    let right = part.right().downcast_ref::<Column>()?.index();
    let kind = |at: usize| Some(condition.schema().fields().get(at)?.data_type());
    let alike = kind(left)? == kind(right)? && keys::is_whole(kind(left)?);
    let places = condition.column_indices();
    let (left, right) = (places.get(left)?, places.get(right)?);
    let apart = left.side != right.side;
    let (one, op, two) = match right.side == driver {
        true => (left, *part.op(), right),
        false => (right, part.op().swap()?, left),
    };
    (alike && apart).then_some((op, (one.index, two.index)))
}

/// The bounds of two pieces' rows, and of the key under way the rows in order.
#[derive(Debug)]
pub(super) struct Nearby {
    /// Each the column of the rows that are looked for, and that of the driving rows.
    upper: Option<(Int64Array, Int64Array)>,
    lower: Option<(Int64Array, Int64Array)>,
    /// Whether what is looked for is equal, and not bounded.
    equal: bool,
    /// What is bounded among rows that are equal.
    then: Option<Then>,
    /// The key's rows, by what is bounded from above.
    order: Vec<u32>,
    most: Vec<i64>,
    /// The greatest so far of what is bounded from below.
    reach: Vec<i64>,
    /// The last range of equal numbers.
    last: Range<usize>,
}

/// One column of the rows that are looked for, with the bounds that driving rows set.
#[derive(Debug)]
struct Then {
    column: Int64Array,
    upper: Option<Int64Array>,
    lower: Option<Int64Array>,
    /// The key's values, in order.
    values: Vec<i64>,
}

impl Then {
    fn of(bounds: Bounds, driver: &Piece, other: &Piece) -> Result<Option<Self>> {
        let Some((at, _)) = bounds.upper.or(bounds.lower) else {
            return Ok(None);
        };
        let of_column = |pair: Option<Pair>| {
            let pair = pair.filter(|(column, _)| *column == at);
            pair.map(|(_, bound)| numbers(driver, bound)).transpose()
        };
        Ok(Some(Self {
            column: numbers(other, at)?,
            upper: of_column(bounds.upper)?,
            lower: of_column(bounds.lower)?,
            values: Vec::new(),
        }))
    }

    /// The part of a range of equal rows that a driving row can be paired with.
    fn within(&self, range: Range<usize>, row: usize) -> Range<usize> {
        let Range { mut start, mut end } = range;
        let values = |start, end| self.values.get(start..end).unwrap_or_default();
        for (bounds, is_upper) in [(&self.upper, true), (&self.lower, false)] {
            let Some(bounds) = bounds else {
                continue;
            };
            if bounds.is_null(row) {
                return start..start;
            }
            let bound = bounds.value(row);
            if is_upper {
                end = start + values(start, end).partition_point(|value| *value <= bound);
            } else {
                start += values(start, end).partition_point(|value| *value < bound);
            }
        }
        start..end
    }
}

pub(super) fn numbers(piece: &Piece, at: usize) -> Result<Int64Array> {
    let numbers = keys::whole_numbers(piece.rows.column(at))?;
    Ok(numbers.as_primitive::<Int64Type>().clone())
}

impl Nearby {
    /// What a condition decides about.
    pub(super) fn new(bounds: Bounds, driver: &Piece, other: &Piece) -> Result<Self> {
        Self::of(bounds, false, driver, other)
    }

    /// Rows of equal numbers, and of these those within bounds.
    pub(super) fn equal(
        pair: Pair,
        bounds: Option<Bounds>,
        driver: &Piece,
        other: &Piece,
    ) -> Result<Self> {
        let equal = Bounds {
            upper: Some(pair),
            lower: None,
        };
        let then = bounds.map(|bounds| Then::of(bounds, driver, other));
        Ok(Self {
            then: then.transpose()?.flatten(),
            ..Self::of(equal, true, driver, other)?
        })
    }

    fn of(bounds: Bounds, equal: bool, driver: &Piece, other: &Piece) -> Result<Self> {
        let columns = |pair: Option<Pair>| {
            pair.map(|(one, two)| {
                Ok::<_, datafusion::error::DataFusionError>((
                    numbers(other, one)?,
                    numbers(driver, two)?,
                ))
            })
            .transpose()
        };
        Ok(Self {
            upper: columns(bounds.upper)?,
            lower: columns(bounds.lower)?,
            equal,
            then: None,
            order: Vec::new(),
            most: Vec::new(),
            reach: Vec::new(),
            last: 0..0,
        })
    }

    /// Begins with the rows of another key, of which there are fewer than 2^32.
    #[expect(clippy::cast_possible_truncation, reason = "the caller's promise")]
    pub(super) fn begin(&mut self, rows: &Range<usize>) {
        self.order.clear();
        self.last = 0..0;
        if rows.len() < FEW && !self.equal {
            return;
        }
        let or = |numbers: &Int64Array, row: usize, other: i64| match numbers.is_valid(row) {
            true => numbers.value(row),
            false => other,
        };
        // A row without a number is in no pair.
        let by = |row: usize| match (&self.upper, &self.lower) {
            (Some((numbers, _)), _) => or(numbers, row, i64::MAX),
            (None, Some((numbers, _))) => or(numbers, row, i64::MIN),
            (None, None) => 0,
        };
        self.order.extend(rows.start as u32..rows.end as u32);
        if let (true, Some((numbers, _))) = (self.equal, &self.upper) {
            self.order.retain(|row| numbers.is_valid(*row as usize));
        }
        if let Some(then) = &mut self.then {
            let column = &then.column;
            self.order.retain(|row| column.is_valid(*row as usize));
            let by = |row: &u32| (by(*row as usize), column.value(*row as usize));
            if !self.order.is_sorted_by_key(by) {
                self.order.sort_by_key(by);
            }
            let values = self.order.iter().map(|row| column.value(*row as usize));
            then.values.clear();
            then.values.extend(values);
        } else if !self.order.is_sorted_by_key(|row| by(*row as usize)) {
            self.order.sort_by_key(|row| by(*row as usize));
        }
        self.most.clear();
        self.most
            .extend(self.order.iter().map(|row| by(*row as usize)));
        self.reach.clear();
        if let Some((numbers, _)) = &self.lower {
            let mut reach = i64::MIN;
            self.reach.extend(self.order.iter().map(|row| {
                reach = reach.max(or(numbers, *row as usize, i64::MIN));
                reach
            }));
        }
    }

    /// Where among the rows of [`Self::row`] those are that a driving row can be paired with; none for all of the key's.
    pub(super) fn range(&mut self, row: usize) -> Option<Range<usize>> {
        if self.order.is_empty() {
            return self.equal.then_some(0..0);
        }
        let mut range = 0..self.order.len();
        if let Some((_, bounds)) = &self.upper {
            if bounds.is_null(row) {
                return Some(0..0);
            }
            let bound = bounds.value(row);
            if self.equal {
                let equal = self.equal_to(bound);
                return Some(match &self.then {
                    Some(then) => then.within(equal, row),
                    None => equal,
                });
            }
            range.end = self.most.partition_point(|number| *number <= bound);
        }
        if let Some((_, bounds)) = &self.lower {
            if bounds.is_null(row) {
                return Some(0..0);
            }
            let bound = bounds.value(row);
            range.start = self.reach.partition_point(|reach| *reach < bound);
        }
        Some(range.start..range.end.max(range.start))
    }

    /// Where the rows of a number are. One after the other, driving rows ask for the same one most often.
    fn equal_to(&mut self, number: i64) -> Range<usize> {
        if self.most.get(self.last.start) != Some(&number) || self.last.is_empty() {
            let start = self.most.partition_point(|other| *other < number);
            let equal = self.most[start..].iter();
            let count = equal.take_while(|other| **other == number).count();
            self.last = start..start + count;
        }
        self.last.clone()
    }

    pub(super) fn rows(&self, range: Range<usize>) -> &[u32] {
        &self.order[range]
    }
}
