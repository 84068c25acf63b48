//! What is known of rows behind a pseudonym: persons follow each other as they are stored.
//!
//! The order of pseudonyms has nothing to do with it, but all rows of a person still lie together, and in one partition.
//! That is enough for windows by person, for counts of different persons, and for joins and groups by person without
//! moving a row. It is declared as an order by an expression that nothing evaluates, and as ranges whose bounds equal
//! no stored number.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Schema};
use datafusion::common::{Result, ScalarValue, SplitPoint, internal_err};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::{LexOrdering, PhysicalExpr, PhysicalSortExpr, RangePartitioning};
use datafusion::prelude::SessionConfig;

/// Tells guards that whoever plans knows of the order that they declare, so that they may declare it.
#[derive(Debug)]
struct PersonsTogether;

/// Lets the guards of a session declare that each person's rows lie together. Its planner must not route rows by the
/// bounds of their ranges: they are no values of the column.
#[must_use]
pub fn persons_together(config: SessionConfig) -> SessionConfig {
    config.with_extension(Arc::new(PersonsTogether))
}

pub(super) fn may_declare(config: &SessionConfig) -> bool {
    config.get_extension::<PersonsTogether>().is_some()
}

/// The place of a pseudonym's number among the stored ones: a function of the pseudonym, which nobody can evaluate.
#[derive(Debug, Clone)]
pub struct StoredOrder {
    shown: Arc<dyn PhysicalExpr>,
}

impl StoredOrder {
    /// The order in which what this expression shows is stored.
    #[must_use]
    pub fn of(shown: &Arc<dyn PhysicalExpr>) -> Arc<dyn PhysicalExpr> {
        Arc::new(Self {
            shown: Arc::clone(shown),
        })
    }

    /// Whether an expression goes by such an order.
    #[must_use]
    pub fn is_in(expr: &Arc<dyn PhysicalExpr>) -> bool {
        expr.is::<Self>() || expr.children().into_iter().any(Self::is_in)
    }

    /// Whether the bounds of these ranges are only names of parts, and no values of what they divide by.
    #[must_use]
    pub fn names_parts(range: &RangePartitioning) -> bool {
        range
            .split_points()
            .iter()
            .flat_map(SplitPoint::values)
            .any(|bound| matches!(bound, ScalarValue::Utf8(_)))
    }
}

impl PartialEq for StoredOrder {
    fn eq(&self, other: &Self) -> bool {
        self.shown.eq(&other.shown)
    }
}

impl Eq for StoredOrder {}

impl Hash for StoredOrder {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.shown.hash(state);
    }
}

impl fmt::Display for StoredOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stored_order({})", self.shown)
    }
}

impl PhysicalExpr for StoredOrder {
    fn data_type(&self, _: &Schema) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn nullable(&self, _: &Schema) -> Result<bool> {
        Ok(true)
    }

    fn evaluate(&self, _: &RecordBatch) -> Result<ColumnarValue> {
        internal_err!("the order of what pseudonyms stand for is not known")
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.shown]
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        match children.as_slice() {
            [shown] => Ok(Self::of(shown)),
            _ => internal_err!("an order is of one expression"),
        }
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Ranges of stored numbers as parts of what is shown in their place. Text never equals a number's bound, so that these
/// parts are not taken for those of the numbers themselves or of another domain's pseudonyms.
pub(super) fn parts(
    range: &RangePartitioning,
    shown: &Arc<dyn PhysicalExpr>,
    domain: &str,
) -> Option<RangePartitioning> {
    let [by] = &range.ordering()[..] else {
        return None;
    };
    let bounds = range
        .split_points()
        .iter()
        .enumerate()
        .map(|(at, bound)| {
            let name = format!("{at:08} {domain} {bound}");
            SplitPoint::new(vec![ScalarValue::Utf8(Some(name))])
        })
        .collect();
    let ordering = LexOrdering::new([PhysicalSortExpr::new(Arc::clone(shown), by.options)])?;
    RangePartitioning::try_new(ordering, bounds).ok()
}
