//! Which copy of a table's files a scan reads: the one in whose order the values that are asked for lie together.

use std::ops::RangeInclusive;

use datafusion::common::ScalarValue;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};

use crate::{FileEntry, TableVersion};

/// Of a table's rows, at most one in so many may be asked for by several values: their rows are sorted by person again
/// where that order is needed.
const ONE_IN: u64 = 8;

/// Of a table's rows, at most this share of one value is better read from the copy, where rows are filtered as they are decoded.
const MOST_OF_ONE: (u64, u64) = (1, 2);

/// As many values are looked up in a copy where nothing may be known of how many rows have them.
const MOST_VALUES: usize = 16;

/// A copy to read in place of the table's files.
pub(super) struct Choice<'a> {
    pub(super) files: Vec<&'a FileEntry>,
    /// What every row that is asked for fulfils, about the copy's column alone.
    pub(super) filter: Expr,
    /// Rows of one value are asked for: they come in the table's own order.
    pub(super) one_value: bool,
    /// About how many rows, where that may be known.
    pub(super) rows: Option<u64>,
}

/// The copy that a scan with these filters reads; none where the files themselves are as good. `known` says whether what
/// the manifest knows of values may decide: not below a guard, whose user sees the plan and not all rows.
pub(super) fn choose<'a>(
    table: &'a TableVersion,
    files: &[&'a FileEntry],
    filters: &[Expr],
    known: bool,
) -> Option<Choice<'a>> {
    // Who asks for a person finds their few rows together in the table's own order.
    let person = table.spec.person_key.as_deref()?;
    if files.is_empty() || filters.iter().any(|f| mentions(f, person)) {
        return None;
    }
    let choices = table
        .projections
        .iter()
        .filter_map(|by| choice(by, files, filters, known));
    choices.min_by_key(|c| (!c.one_value, c.rows))
}

/// The copy by a column, whatever is asked for; with what every row that is asked for fulfils about the column, if anything.
pub(super) fn by<'a>(
    by: &str,
    files: &[&'a FileEntry],
    filters: &[Expr],
) -> Option<(Vec<&'a FileEntry>, Option<Expr>)> {
    let copies: Option<Vec<_>> = files.iter().map(|f| f.projection(by)).collect();
    let files = copies?.into_iter().map(|c| &c.file).collect();
    Some((files, about(by, filters).map(|(filter, _)| filter)))
}

/// What filters say about a column alone. Every conjunct about it narrows what is read; those that cannot be understood stay
/// above the scan.
fn about(by: &str, filters: &[Expr]) -> Option<(Expr, Values)> {
    let mut about: Option<(Expr, Values)> = None;
    for filter in filters {
        let Some(values) = values(filter, by) else {
            continue;
        };
        about = Some(match about {
            None => (filter.clone(), values),
            Some((both, before)) => (both.and(filter.clone()), before.and(&values)),
        });
    }
    about
}

fn choice<'a>(
    by: &str,
    files: &[&'a FileEntry],
    filters: &[Expr],
    known: bool,
) -> Option<Choice<'a>> {
    let (filter, values) = about(by, filters)?;
    let copies: Option<Vec<_>> = files.iter().map(|f| f.projection(by)).collect();
    let copies = copies?;
    let one_value = values.0.len() <= 1 && values.0.iter().all(|r| r.start() == r.end());
    let told = known && copies.iter().all(|c| !c.steps.is_empty() || c.present == 0);
    let rows = told.then(|| copies.iter().map(|c| values.rows(c)).sum::<u64>());
    let all: u64 = files.iter().map(|f| f.rows).sum();
    let good = match rows {
        Some(rows) if one_value => rows.saturating_mul(MOST_OF_ONE.1) <= all * MOST_OF_ONE.0,
        Some(rows) => rows.saturating_mul(ONE_IN) <= all,
        None => {
            one_value
                || (values.0.len() <= MOST_VALUES && values.0.iter().all(|r| r.start() == r.end()))
        }
    };
    good.then(|| Choice {
        files: copies.into_iter().map(|c| &c.file).collect(),
        filter,
        one_value,
        rows,
    })
}

fn mentions(filter: &Expr, column: &str) -> bool {
    filter.column_refs().iter().any(|c| c.name() == column)
}

/// Ranges of values, ascending and apart.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Values(Vec<RangeInclusive<i64>>);

impl Values {
    fn one(value: i64) -> Self {
        Self(vec![value..=value])
    }

    fn and(&self, other: &Self) -> Self {
        let pairs = self.0.iter().flat_map(|a| {
            other.0.iter().map(move |b| {
                let (from, to) = (*a.start().max(b.start()), *a.end().min(b.end()));
                from..=to
            })
        });
        Self(pairs.filter(|r| !r.is_empty()).collect())
    }

    fn or(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self.0.sort_by_key(|r| *r.start());
        let mut apart: Vec<RangeInclusive<i64>> = Vec::new();
        for range in self.0 {
            match apart.last_mut() {
                Some(last) if range.start() <= last.end() => {
                    *last = *last.start()..=*last.end().max(range.end());
                }
                _ => apart.push(range),
            }
        }
        Self(apart)
    }

    /// About how many rows of a copy have them.
    fn rows(&self, copy: &crate::Projection) -> u64 {
        let steps = &copy.steps;
        let count = steps.len().max(1) as u64;
        let rows = |halves: u64| copy.present.saturating_mul(halves) / (2 * count);
        let (mut on_steps, mut gaps) = (0u64, 0u64);
        // Values beside all steps, while no range of several is among them.
        let mut beside = Some(0u64);
        let mut between = None;
        for range in &self.0 {
            let from = steps.partition_point(|s| s < range.start());
            let to = steps.partition_point(|s| s <= range.end());
            if from < to {
                on_steps += 2 * (to - from) as u64;
            } else if count < copy.present {
                beside = beside
                    .filter(|_| range.start() == range.end())
                    .map(|b| b + 1);
                // What lies between two steps has at most one step's rows together: say half.
                gaps += u64::from(between != Some(from));
                between = Some(from);
            }
        }
        let at_most = rows(on_steps.saturating_add(gaps)).min(copy.present);
        let (Some(beside), Some(values)) = (beside, copy.values) else {
            return at_most;
        };
        // They share what lies between the steps with all others that are there.
        let different = steps.chunk_by(|a, b| a == b).count() as u64;
        let others = values.saturating_sub(different).max(1);
        let each = rows(different.min(count)) / others + 1;
        at_most.min(rows(on_steps).saturating_add(beside.saturating_mul(each)))
    }
}

/// The values of a column that a filter lets pass; none where it says something else, too.
fn values(filter: &Expr, by: &str) -> Option<Values> {
    let is_column = |expr: &Expr| matches!(expr, Expr::Column(c) if c.name() == by);
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match op {
            Operator::And => Some(values(left, by)?.and(&values(right, by)?)),
            Operator::Or => Some(values(left, by)?.or(values(right, by)?)),
            _ if is_column(left) => compared(*op, whole(right)?),
            _ if is_column(right) => compared(op.swap()?, whole(left)?),
            _ => None,
        },
        Expr::InList(list) if !list.negated && is_column(&list.expr) => {
            let mut found = Values(Vec::new());
            for value in &list.list {
                found.0.push(Values::one(whole(value)?).0.remove(0));
            }
            Some(found.or(Values(Vec::new())))
        }
        Expr::Between(between) if !between.negated && is_column(&between.expr) => {
            let range = whole(&between.low)?..=whole(&between.high)?;
            Some(Values(
                Some(range).filter(|r| !r.is_empty()).into_iter().collect(),
            ))
        }
        _ => None,
    }
}

fn compared(op: Operator, value: i64) -> Option<Values> {
    let range = match op {
        Operator::Eq => value..=value,
        Operator::Lt => i64::MIN..=value.checked_sub(1)?,
        Operator::LtEq => i64::MIN..=value,
        Operator::Gt => value.checked_add(1)?..=i64::MAX,
        Operator::GtEq => value..=i64::MAX,
        _ => return None,
    };
    Some(Values(vec![range]))
}

fn whole(expr: &Expr) -> Option<i64> {
    match expr {
        Expr::Literal(ScalarValue::Int64(value), _) => *value,
        _ => None,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use datafusion::logical_expr::{col, lit};

    fn of(filter: &Expr) -> Option<Vec<RangeInclusive<i64>>> {
        values(filter, "c").map(|v| v.0)
    }

    #[test]
    fn values_are_read_from_filters() {
        let c = || col("t.c");
        assert_eq!(of(&c().eq(lit(3i64))).unwrap(), [3..=3]);
        assert_eq!(of(&lit(3i64).eq(c())).unwrap(), [3..=3]);
        assert_eq!(
            of(&c()
                .eq(lit(3i64))
                .or(c().eq(lit(1i64)))
                .or(c().eq(lit(3i64))))
            .unwrap(),
            [1..=1, 3..=3]
        );
        let list = vec![lit(9i64), lit(2i64), lit(9i64)];
        assert_eq!(
            of(&c().in_list(list.clone(), false)).unwrap(),
            [2..=2, 9..=9]
        );
        assert_eq!(
            of(&c().gt_eq(lit(2i64)).and(c().lt(lit(5i64)))).unwrap(),
            [2..=4]
        );
        assert_eq!(of(&c().between(lit(2i64), lit(5i64))).unwrap(), [2..=5]);
        assert_eq!(of(&c().between(lit(5i64), lit(2i64))).unwrap(), []);
        assert_eq!(of(&lit(5i64).gt(c())).unwrap(), [i64::MIN..=4]);
        for other in [
            c().not_eq(lit(3i64)),
            c().in_list(list, true),
            c().is_null(),
            c().eq(col("d")),
            c().eq(lit(3.0)),
            c().eq(lit(3i64)).or(col("d").eq(lit(3i64))),
            c().eq(lit(3i64)).and(col("d").eq(lit(3i64))),
            c().eq(lit(ScalarValue::Int64(None))),
            col("d").eq(lit(3i64)),
        ] {
            assert_eq!(of(&other), None, "{other}");
        }
    }

    #[test]
    fn what_two_filters_let_pass_is_what_both_do() {
        let a = Values(vec![1..=4, 7..=9]);
        assert_eq!(a.and(&Values(vec![3..=7])).0, [3..=4, 7..=7]);
        assert_eq!(a.and(&Values::one(5)).0, []);
    }

    #[test]
    fn rows_are_estimated_by_steps() {
        let mut copy: crate::Projection = serde_json::from_str(
            r#"{"by": "c", "present": 800, "steps": [1, 1, 1, 4, 4, 7, 9, 9],
                "file": {"path": "p", "rows": 900, "bytes": 1, "blake3": ""}}"#,
        )
        .unwrap();
        let rows = |ranges: &[RangeInclusive<i64>]| Values(ranges.to_vec()).rows(&copy);
        assert_eq!(rows(&[1..=1]), 300);
        assert_eq!(rows(&[4..=7]), 300);
        assert_eq!(rows(&[7..=7, 9..=9]), 300);
        assert_eq!(rows(&[i64::MIN..=i64::MAX]), 800);
        assert_eq!(rows(&[]), 0);
        // 5 and 6 share what lies between 4 and 7.
        assert_eq!(rows(&[5..=5, 6..=6]), 50);
        assert_eq!(rows(&[2..=2, 5..=5, 12..=12]), 150);
        // Where it is known that 4 + 40 values share what lies between the steps: half of the four steps' rows.
        copy.values = Some(44);
        let rows = |ranges: &[RangeInclusive<i64>]| Values(ranges.to_vec()).rows(&copy);
        assert_eq!(rows(&[2..=2, 5..=5, 12..=12]), 3 * (200 / 40 + 1));
        assert_eq!(rows(&[4..=4, 5..=5]), 200 + 200 / 40 + 1);
        assert_eq!(rows(&[2..=3, 5..=5, 12..=12]), 150);
    }
}
