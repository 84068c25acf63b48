//! Which parts of a plan are the same.
//!
//! Two parts are taken for the same if they look the same, node by node with all details, and so do their fields in
//! memory. What a difference is hidden from would have to be hidden from both.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

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
    /// The fields in memory of those that look the same; where one is found, its number.
    marked: HashMap<u64, Vec<(String, usize)>>,
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
            may &= !volatile(expr)?;
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
        let fields = format!("{plan:?}");
        if ELSEWHERE.iter().any(|word| fields.contains(word)) {
            return None;
        }
        let marked = self.marked.entry(*look).or_default();
        let known = marked.iter().find(|(other, _)| *other == fields);
        Some(match known {
            Some((_, number)) => *number,
            None => {
                self.number += 1;
                marked.push((fields, self.number));
                self.number
            }
        })
    }
}

/// Whether a node makes fewer or other rows at a cost, so that its rows are worth keeping.
fn does_work(plan: &dyn ExecutionPlan) -> bool {
    plan.downcast_ref::<AggregateExec>().is_some()
        || plan.downcast_ref::<HashJoinExec>().is_some()
        || plan.downcast_ref::<BoundedWindowAggExec>().is_some()
        || plan.downcast_ref::<WindowAggExec>().is_some()
}

fn volatile(expr: &Arc<dyn PhysicalExpr>) -> Result<bool> {
    let mut found = false;
    expr.apply(|expr| {
        found |= expr.is_volatile_node();
        Ok(if found {
            TreeNodeRecursion::Stop
        } else {
            TreeNodeRecursion::Continue
        })
    })?;
    Ok(found)
}
