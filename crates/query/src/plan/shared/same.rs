//! Which parts of a plan are the same.
//!
//! Two parts are taken for the same if they look the same, node by node with all details, and so do their fields in
//! memory. Of long columns and lists those show the ends only: rows that are in memory and expressions are compared themselves.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::catalog::memory::{DataSourceExec, MemorySourceConfig};
use datafusion::common::Result;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec};
use datafusion::physical_plan::{ExecutionPlan, displayable};

/// What a part must not hold: its rows would depend on when or where it runs.
const ELSEWHERE: [&str; 4] = [
    "DynamicFilter",
    "ScalarSubquery",
    "WorkTable",
    "RecursiveQuery",
];

/// The parts of a plan.
#[derive(Debug)]
pub(super) struct Parts {
    /// By the address of its first node: what it looks like, if it is worth sharing.
    looks: HashMap<usize, u64>,
    times: HashMap<u64, usize>,
    /// What is in those that look the same; where one is found, its number.
    marked: HashMap<u64, Vec<(Contents, usize)>>,
    number: usize,
}

pub(super) fn address(plan: &Arc<dyn ExecutionPlan>) -> usize {
    Arc::as_ptr(plan).cast::<()>() as usize
}

impl Parts {
    pub(super) fn of(plan: &Arc<dyn ExecutionPlan>) -> Result<Self> {
        let mut parts = Self {
            looks: HashMap::new(),
            times: HashMap::new(),
            marked: HashMap::new(),
            number: 0,
        };
        parts.visit(plan)?;
        Ok(parts)
    }

    pub(super) fn none_twice(&self) -> bool {
        self.times.values().all(|times| *times < 2)
    }

    /// Looks at a part; also says whether it does more than read, filter and compute, and may be shared.
    fn visit(&mut self, plan: &Arc<dyn ExecutionPlan>) -> Result<(u64, bool, bool)> {
        let mut hasher = DefaultHasher::new();
        displayable(plan.as_ref())
            .one_line()
            .to_string()
            .hash(&mut hasher);
        plan.schema().hash(&mut hasher);
        let (mut works, mut may) = (does_work(plan.as_ref()), true);
        for child in plan.children() {
            let (look, child_works, child_may) = self.visit(child)?;
            look.hash(&mut hasher);
            works |= child_works;
            may &= child_may;
        }
        plan.apply_expressions(&mut |expr| {
            may &= !is_volatile(expr);
            Ok(TreeNodeRecursion::Continue)
        })?;
        let look = hasher.finish();
        // The order that this node hides is of use to the join above it.
        if works && may && plan.name() != "UnorderedExec" {
            self.looks.insert(address(plan), look);
            *self.times.entry(look).or_default() += 1;
        }
        Ok((look, works, may))
    }

    /// How many parts look like the one that begins with this node.
    pub(super) fn times(&self, plan: &Arc<dyn ExecutionPlan>) -> usize {
        let look = self.looks.get(&address(plan));
        let times = look.and_then(|look| self.times.get(look));
        times.copied().unwrap_or(0)
    }

    /// The number of the part that begins with this node, if there is another like it.
    pub(super) fn shared(&mut self, plan: &Arc<dyn ExecutionPlan>) -> Option<usize> {
        if self.times(plan) < 2 {
            return None;
        }
        let look = self.looks.get(&address(plan))?;
        let contents = Contents::of(plan).ok()?;
        if ELSEWHERE.iter().any(|word| contents.fields.contains(word)) {
            return None;
        }
        let marked = self.marked.entry(*look).or_default();
        let known = marked.iter().find(|(other, _)| *other == contents);
        Some(match known {
            Some((_, number)) => *number,
            None => {
                self.number += 1;
                marked.push((contents, self.number));
                self.number
            }
        })
    }
}

/// What is in a part.
#[derive(Debug)]
struct Contents {
    fields: String,
    expressions: Vec<Arc<dyn PhysicalExpr>>,
    rows: Vec<RecordBatch>,
}

impl Contents {
    fn of(plan: &Arc<dyn ExecutionPlan>) -> Result<Self> {
        let mut contents = Self {
            fields: format!("{plan:?}"),
            expressions: Vec::new(),
            rows: Vec::new(),
        };
        plan.apply(|node| {
            node.apply_expressions(&mut |expr| {
                contents.expressions.push(Arc::clone(expr));
                Ok(TreeNodeRecursion::Continue)
            })?;
            let scan = node.downcast_ref::<DataSourceExec>();
            let source = scan.map(|scan| scan.data_source().as_ref());
            if let Some(memory) = source.and_then(|s| s.downcast_ref::<MemorySourceConfig>()) {
                let batches = memory.partitions().iter().flatten();
                contents.rows.extend(batches.cloned());
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(contents)
    }
}

impl PartialEq for Contents {
    fn eq(&self, other: &Self) -> bool {
        let all_equal = |(one, other): (&RecordBatch, &RecordBatch)| {
            let mut columns = one.columns().iter().zip(other.columns());
            one.num_columns() == other.num_columns()
                && one.num_rows() == other.num_rows()
                // The same columns of a table need not be read.
                && columns.all(|(one, other)| Arc::ptr_eq(one, other) || one == other)
        };
        self.fields == other.fields
            && self.expressions == other.expressions
            && self.rows.len() == other.rows.len()
            && self.rows.iter().zip(&other.rows).all(all_equal)
    }
}

/// Whether a node makes fewer or other rows at a cost, so that its rows are worth keeping.
fn does_work(plan: &dyn ExecutionPlan) -> bool {
    plan.downcast_ref::<AggregateExec>().is_some()
        || plan.downcast_ref::<HashJoinExec>().is_some()
        || plan.downcast_ref::<BoundedWindowAggExec>().is_some()
        || plan.downcast_ref::<WindowAggExec>().is_some()
}

/// Whether an expression may have another value each time.
pub(in crate::plan) fn is_volatile(expr: &Arc<dyn PhysicalExpr>) -> bool {
    expr.exists(|part| Ok(part.is_volatile_node()))
        .unwrap_or(true)
}
