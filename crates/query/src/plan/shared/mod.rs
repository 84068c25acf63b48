//! Runs once what a plan holds several times.
//!
//! A CTE that is used twice is planned twice. Where both plans came out the same, one runs, and its rows go to both
//! places: [`MarkShared`] finds such parts when plans have their shape, and [`LinkShared`] joins them up when nothing
//! changes any more. In between, a marked part is closed to filters that a join would hand down into one of the places.

mod buffer;
mod same;

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::config::ConfigOptions;
use datafusion::execution::TaskContext;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions};
use datafusion::physical_plan::recursive_query::RecursiveQueryExec;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, SendableRecordBatchStream,
    displayable,
};

pub(super) use buffer::Shared;
pub(super) use same::is_volatile;
use same::{Parts, address};

type Plan = Arc<dyn ExecutionPlan>;

/// Marks the parts of a plan that it holds several times.
#[derive(Debug)]
pub(crate) struct MarkShared;

impl PhysicalOptimizerRule for MarkShared {
    fn optimize(&self, plan: Plan, _: &ConfigOptions) -> Result<Plan> {
        // What runs again for each level of a recursion has its rows anew each time.
        if recurs(&plan) {
            return Ok(plan);
        }
        let mut parts = Parts::of(&plan)?;
        if parts.none_twice() {
            return Ok(plan);
        }
        mark(plan, &mut parts, 0)
    }

    fn name(&self) -> &'static str {
        "MarkShared"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn recurs(plan: &Plan) -> bool {
    plan.is::<RecursiveQueryExec>() || plan.children().into_iter().any(recurs)
}

/// Marks the parts of a plan that lies within a part which is there so many times: what is there as often comes with it.
fn mark(plan: Plan, parts: &mut Parts, times: usize) -> Result<Plan> {
    let own = parts.times(&plan);
    let id = if own > times {
        parts.shared(&plan)
    } else {
        None
    };
    let times = if id.is_some() { own } else { times };
    let plan = with_children(plan, |child| mark(child, parts, times))?;
    Ok(match id {
        Some(id) => Arc::new(SharedExec {
            id,
            input: plan,
            reader: None,
        }),
        None => plan,
    })
}

/// The plan with each child changed.
fn with_children(plan: Plan, mut change: impl FnMut(Plan) -> Result<Plan>) -> Result<Plan> {
    let before: Vec<Plan> = plan.children().into_iter().map(Arc::clone).collect();
    let after = before
        .iter()
        .map(|child| change(Arc::clone(child)))
        .collect::<Result<Vec<_>>>()?;
    let same = before.iter().zip(&after).all(|(b, a)| Arc::ptr_eq(b, a));
    if same {
        return Ok(plan);
    }
    let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
    plan.replace_children(after, options)
}

/// Joins marked parts up, and takes the marks off those that are alone.
#[derive(Debug)]
pub(crate) struct LinkShared;

impl PhysicalOptimizerRule for LinkShared {
    fn optimize(&self, plan: Plan, _: &ConfigOptions) -> Result<Plan> {
        let mut looks = Looks::default();
        looks.count(&plan);
        if looks.places.is_empty() {
            return Ok(plan);
        }
        // The parts keep their addresses as long as the plan is there.
        link(Arc::clone(&plan), &looks, &mut HashMap::new())
    }

    fn name(&self) -> &'static str {
        "LinkShared"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// What parts look like: the same mark and another look is another part.
#[derive(Debug, Default)]
struct Looks {
    /// Nodes by what they say of themselves and what their inputs look like.
    known: HashMap<(String, Vec<usize>), usize>,
    /// By the address of a node.
    nodes: HashMap<usize, usize>,
    /// By the address of a part's input, and in how many places its rows are read.
    parts: HashMap<usize, (usize, usize)>,
    places: HashMap<(usize, usize), usize>,
}

impl Looks {
    fn of(&mut self, plan: &Plan) -> usize {
        if let Some(look) = self.nodes.get(&address(plan)) {
            return *look;
        }
        let inputs = plan.children().into_iter().map(|child| self.of(child));
        let inputs = inputs.collect();
        let line = displayable(plan.as_ref()).one_line().to_string();
        let next = self.known.len();
        let look = *self.known.entry((line, inputs)).or_insert(next);
        self.nodes.insert(address(plan), look);
        look
    }

    /// Looks at each part. Those within a part are read by the one that runs.
    fn count(&mut self, plan: &Plan) {
        if let Some(part) = plan.downcast_ref::<SharedExec>() {
            let look = (part.id, self.of(&part.input));
            self.parts.insert(address(&part.input), look);
            let places = self.places.entry(look).or_default();
            *places += 1;
            if *places > 1 {
                return;
            }
        }
        for child in plan.children() {
            self.count(child);
        }
    }
}

type Running = HashMap<(usize, usize), (Arc<Shared>, usize)>;

fn link(plan: Plan, looks: &Looks, running: &mut Running) -> Result<Plan> {
    let part = plan.downcast_ref::<SharedExec>();
    let Some((part, look)) = part.and_then(|part| {
        let look = looks.parts.get(&address(&part.input))?;
        Some((part, *look))
    }) else {
        return with_children(plan, |child| link(child, looks, running));
    };
    if let Some((shared, readers)) = running.get_mut(&look) {
        *readers += 1;
        return Ok(Arc::new(part.reading(shared, *readers - 1)));
    }
    let input = link(Arc::clone(&part.input), looks, running)?;
    let readers = looks.places.get(&look).copied().unwrap_or(1);
    if readers == 1 {
        return Ok(input);
    }
    let shared = Arc::new(Shared::new(input, readers));
    let first = part.reading(&shared, 0);
    running.insert(look, (shared, 1));
    Ok(Arc::new(first))
}

/// A part of a plan whose rows are read in several places.
#[derive(Debug)]
pub(super) struct SharedExec {
    id: usize,
    input: Plan,
    /// What runs, and which of its readers this one is; none before parts are joined up.
    reader: Option<(Arc<Shared>, usize)>,
}

impl SharedExec {
    fn reading(&self, shared: &Arc<Shared>, reader: usize) -> Self {
        Self {
            id: self.id,
            input: Arc::clone(shared.input()),
            reader: Some((Arc::clone(shared), reader)),
        }
    }
}

impl DisplayAs for SharedExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.reader {
            Some((shared, reader)) => {
                let (place, places) = (reader + 1, shared.readers());
                write!(f, "SharedExec: part={}, place={place} of {places}", self.id)
            }
            None => write!(f, "SharedExec: part={}", self.id),
        }
    }
}

impl ExecutionPlan for SharedExec {
    fn name(&self) -> &'static str {
        "SharedExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    /// The first place shows what runs.
    fn children(&self) -> Vec<&Plan> {
        match &self.reader {
            Some((_, 1..)) => Vec::new(),
            _ => vec![&self.input],
        }
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true; self.children().len()]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false; self.children().len()]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Plan>,
        _: ReplaceChildrenOptions,
    ) -> Result<Plan> {
        // Another input is not what the other places read.
        Ok(match children.pop() {
            Some(input) => Arc::new(Self {
                id: self.id,
                input,
                reader: None,
            }),
            None => self,
        })
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Plan>) -> Result<Plan> {
        let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
        self.replace_children(children, options)
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let rows = match &self.reader {
            Some((shared, reader)) => shared.read(*reader, partition, &context)?,
            None => None,
        };
        match rows {
            Some(rows) => Ok(rows),
            None => self.input.execute(partition, context),
        }
    }
}
