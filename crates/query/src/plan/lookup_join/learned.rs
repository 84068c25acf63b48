//! What the other side of a join is told of the numbers.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::Int64Array;
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{
    BinaryExpr, DynamicFilterPhysicalExpr, InListExpr, lit,
};

use super::Key;
use super::table::Table;

/// What the other side is told once all tables are made: between which numbers it has to look, or for which.
#[derive(Debug)]
pub(super) struct Learned {
    pub(super) filter: Arc<DynamicFilterPhysicalExpr>,
    pub(super) key: Key,
    pub(super) kind: DataType,
    pub(super) schema: SchemaRef,
    pub(super) so_far: Mutex<SoFar>,
}

#[derive(Debug)]
pub(super) struct SoFar {
    /// Tables that are not made.
    pub(super) missing: usize,
    pub(super) bounds: Option<(i64, i64)>,
    /// None once there are too many.
    pub(super) keys: Option<BTreeSet<i64>>,
}

impl SoFar {
    pub(super) fn of(tables: usize) -> Self {
        Self {
            missing: tables,
            bounds: None,
            keys: Some(BTreeSet::new()),
        }
    }
}

/// So many numbers are told one by one, as by the engine.
pub(super) const FEW: usize = 150;

impl Learned {
    pub(super) fn add(&self, table: &Table) -> Result<()> {
        let mut so_far = self.so_far.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((low, high)) = table.bounds {
            let (least, greatest) = so_far.bounds.unwrap_or((low, high));
            so_far.bounds = Some((low.min(least), high.max(greatest)));
        }
        if table.numbers > FEW {
            so_far.keys = None;
        } else if let Some(keys) = &mut so_far.keys {
            let slots = table.slots.iter().filter(|slot| slot.rows > 0);
            keys.extend(slots.map(|slot| slot.key));
            if keys.len() > FEW {
                so_far.keys = None;
            }
        }
        so_far.missing = so_far.missing.saturating_sub(1);
        if so_far.missing > 0 {
            return Ok(());
        }
        let Some((low, high)) = so_far.bounds else {
            self.filter.update(lit(false))?;
            self.filter.mark_complete();
            return Ok(());
        };
        let compare = |operator, value| -> Key {
            Arc::new(BinaryExpr::new(Arc::clone(&self.key), operator, value))
        };
        let and = |left: Key, right: Key| -> Key {
            Arc::new(BinaryExpr::new(left, Operator::And, right))
        };
        let mut told = and(
            compare(Operator::GtEq, self.literal(low)?),
            compare(Operator::LtEq, self.literal(high)?),
        );
        if let Some(keys) = &so_far.keys {
            let keys: Int64Array = keys.iter().copied().map(Some).collect();
            let keys = arrow::compute::cast(&keys, &self.kind)?;
            let key = Arc::clone(&self.key);
            let among = InListExpr::try_new_from_array(key, keys, false, &self.schema)?;
            told = and(told, Arc::new(among));
        }
        self.filter.update(told)?;
        self.filter.mark_complete();
        Ok(())
    }

    pub(super) fn literal(&self, number: i64) -> Result<Key> {
        Ok(lit(ScalarValue::from(number).cast_to(&self.kind)?))
    }
}
