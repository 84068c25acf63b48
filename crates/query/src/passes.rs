//! An aggregate with models that are fitted by passes: whoever runs queries elsewhere asks one for each pass, and the
//! rows stay where they are.
//!
//! The first pass is the aggregate itself, with each model replaced by what it asks of the rows. Further ones have
//! the same input, and group by the place that a group had in the first.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, UInt32Array};
use datafusion::arrow::compute::{concat_batches, sort_to_indices, take};
use datafusion::arrow::datatypes::{FieldRef, Int64Type, SchemaRef};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::conditional_expressions::CaseBuilder;
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::{
    Aggregate, Expr, ExprSchemable, LogicalPlan, Operator, binary_expr, lit, when,
};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{Column, Literal};

use crate::functions::aggregate::{CHANGED, Fits, PassModel, by_passes};

/// With more groups than this the rows travel: each pass asks every group apart.
const MAX_GROUPS: usize = 64;

/// An aggregate whose models can be fitted by passes.
#[derive(Debug, Clone)]
pub struct Passes {
    aggregate: Aggregate,
}

/// What became of it.
#[derive(Debug)]
pub enum Fitted {
    /// The rows of the aggregate.
    Rows(RecordBatch),
    /// The aggregate has to be run as it is: there are few rows, or many groups, or the model needs its rows at once.
    NeedsRows,
}

impl Passes {
    /// The passes of a plan that is such an aggregate.
    #[must_use]
    pub fn of(plan: &LogicalPlan) -> Option<Self> {
        let LogicalPlan::Aggregate(aggregate) = plan else {
            return None;
        };
        let grouped_simply = !aggregate
            .group_expr
            .iter()
            .any(|expr| matches!(expr, Expr::GroupingSet(_)));
        let passes = Self {
            aggregate: aggregate.clone(),
        };
        let calls = passes.calls().ok()?;
        let has_models = calls.iter().any(|call| matches!(call, Call::Model(..)));
        (grouped_simply && has_models && is_repeatable(plan)).then_some(passes)
    }

    /// The names of the models.
    pub fn models(&self) -> impl Iterator<Item = &str> {
        let calls = self.aggregate.aggr_expr.iter().filter_map(function);
        calls
            .map(|function| function.func.name())
            .filter(|name| by_passes(name).is_some())
    }

    /// The aggregate.
    #[must_use]
    pub fn plan(&self) -> LogicalPlan {
        LogicalPlan::Aggregate(self.aggregate.clone())
    }

    /// Asks one query for each pass. Models of fewer rows than `least` are not fitted this way.
    ///
    /// # Errors
    ///
    /// What the aggregate itself would say, and errors of the queries.
    pub async fn run<F: Future<Output = Result<Vec<RecordBatch>>>>(
        &self,
        least: u64,
        ask: impl Fn(LogicalPlan) -> F,
    ) -> Result<Fitted> {
        match self.fit(least, ask).await {
            // Noticed here or by an executor, whose errors are texts.
            Err(error) if error.to_string().contains(CHANGED) => Ok(Fitted::NeedsRows),
            fitted => fitted,
        }
    }

    async fn fit<F: Future<Output = Result<Vec<RecordBatch>>>>(
        &self,
        least: u64,
        ask: impl Fn(LogicalPlan) -> F,
    ) -> Result<Fitted> {
        let mut calls = self.calls()?;
        let keys = self.aggregate.group_expr.len();
        let Some(first) = collected(&ask(self.pass(&calls, None)?).await?)? else {
            return Ok(Fitted::NeedsRows);
        };
        let groups = first.num_rows();
        if groups > MAX_GROUPS {
            return Ok(Fitted::NeedsRows);
        }
        let (keys_found, answers) = first.columns().split_at(keys);
        for (call, answer) in calls.iter_mut().zip(answers) {
            if let Call::Model(_, fits) = call {
                fits.take(answer)?;
                if fits.rows() < least {
                    return Ok(Fitted::NeedsRows);
                }
            }
        }
        let place = self.place(keys_found)?;
        loop {
            if calls.iter().any(Call::needs_rows) {
                return Ok(Fitted::NeedsRows);
            }
            let asked = calls
                .iter()
                .map(Call::is_asking)
                .collect::<Result<Vec<_>>>()?;
            if !asked.contains(&true) {
                break;
            }
            let found = collected(&ask(self.pass(&calls, Some(&place))?).await?)?;
            let Some(found) = found.filter(|found| found.num_rows() == groups) else {
                return Ok(Fitted::NeedsRows);
            };
            // Their order is anybody's; without groups there is one row.
            let found = match &place {
                None => found,
                Some(_) => sorted_by_place(&found)?,
            };
            let answers = found.columns().iter().skip(usize::from(place.is_some()));
            let asking = calls.iter_mut().zip(asked).filter(|(_, asked)| *asked);
            for ((call, _), answer) in asking.zip(answers) {
                if let Call::Model(_, fits) = call {
                    fits.take(answer)?;
                }
            }
        }
        let schema: SchemaRef = Arc::new(self.aggregate.schema.as_arrow().clone());
        let mut columns = keys_found.to_vec();
        for (at, call) in calls.into_iter().enumerate() {
            columns.push(match call {
                Call::Other => Arc::clone(&answers[at]),
                Call::Model(_, fits) => fits.finish(schema.field(keys + at).data_type())?,
            });
        }
        Ok(Fitted::Rows(RecordBatch::try_new(schema, columns)?))
    }

    /// The aggregate's calls, models with fits that have not begun.
    fn calls(&self) -> Result<Vec<Call>> {
        let calls = self.aggregate.aggr_expr.iter();
        calls.map(|expr| self.call(expr)).collect()
    }

    fn call(&self, expr: &Expr) -> Result<Call> {
        let Some(function) = function(expr) else {
            return Ok(Call::Other);
        };
        let Some(model) = by_passes(function.func.name()) else {
            return Ok(Call::Other);
        };
        let params = &function.params;
        if params.distinct || !params.order_by.is_empty() || params.null_treatment.is_some() {
            return Ok(Call::Other);
        }
        let schema = self.aggregate.input.schema();
        let fields = params.args.iter().map(|argument| {
            let (_, field) = argument.to_field(schema.as_ref())?;
            Ok(field)
        });
        let fields = fields.collect::<Result<Vec<FieldRef>>>()?;
        let arguments: Vec<_> = params.args.iter().map(physical).collect();
        Ok(match (model.fits)(&arguments, &fields)? {
            Some(fits) => Call::Model(model, fits),
            None => Call::Other,
        })
    }

    /// The query of a pass: of the first one, if the groups' places are not known yet.
    fn pass(&self, calls: &[Call], place: Option<&Option<Expr>>) -> Result<LogicalPlan> {
        let own = place.and_then(Option::as_ref);
        let group = own.cloned().unwrap_or_else(|| lit(0_i64));
        let keys = match place {
            None => self.aggregate.group_expr.clone(),
            Some(_) => own
                .iter()
                .map(|place| (*place).clone().alias(PLACE))
                .collect(),
        };
        let mut answers = Vec::new();
        for (at, (call, expr)) in calls.iter().zip(&self.aggregate.aggr_expr).enumerate() {
            let answer = match call {
                Call::Other if place.is_some() => continue,
                Call::Other => expr.clone(),
                Call::Model(model, fits) => {
                    let Some(questions) = fits.questions()? else {
                        continue;
                    };
                    asking(expr, model, group.clone(), questions)?
                }
            };
            answers.push(answer.alias(format!("answer {at}")));
        }
        let input = Arc::clone(&self.aggregate.input);
        Aggregate::try_new(input, keys, answers).map(LogicalPlan::Aggregate)
    }

    /// The place of a row's group among those that the first pass found; none without groups.
    fn place(&self, found: &[ArrayRef]) -> Result<Option<Expr>> {
        let mut branches = None;
        let groups = found.first().map_or(0, |column| column.len());
        for place in 0..groups {
            let mut is_it = lit(true);
            for (expr, column) in self.aggregate.group_expr.iter().zip(found) {
                let value = ScalarValue::try_from_array(column, place)?;
                let expr = expr.clone().unalias();
                let value = Expr::Literal(value, None);
                is_it = is_it.and(binary_expr(expr, Operator::IsNotDistinctFrom, value));
            }
            let then = lit(i64::try_from(place).unwrap_or(i64::MAX));
            branches = Some(match branches {
                None => when(is_it, then),
                Some(mut branches) => CaseBuilder::when(&mut branches, is_it, then),
            });
        }
        branches.map(|branches| branches.end()).transpose()
    }
}

const PLACE: &str = "place";

/// What is done with an aggregate's call.
enum Call {
    Model(&'static PassModel, Box<dyn Fits>),
    Other,
}

impl Call {
    fn needs_rows(&self) -> bool {
        matches!(self, Self::Model(_, fits) if fits.needs_rows())
    }

    fn is_asking(&self) -> Result<bool> {
        match self {
            Self::Model(_, fits) => Ok(fits.questions()?.is_some()),
            Self::Other => Ok(false),
        }
    }
}

fn function(expr: &Expr) -> Option<&AggregateFunction> {
    match expr {
        Expr::Alias(alias) => function(&alias.expr),
        Expr::AggregateFunction(function) => Some(function),
        _ => None,
    }
}

/// The model's call as that of the aggregate which answers for it.
fn asking(expr: &Expr, model: &PassModel, group: Expr, questions: ScalarValue) -> Result<Expr> {
    let Some(function) = function(expr) else {
        return internal_err!("a model is not a function");
    };
    let mut function = function.clone();
    let arguments = &mut function.params.args;
    arguments.resize(model.parameters, Expr::Literal(ScalarValue::Null, None));
    arguments.extend([group, Expr::Literal(questions, None)]);
    function.func = Arc::new((model.pass)());
    Ok(Expr::AggregateFunction(function))
}

/// An argument for those who look at literals only.
fn physical(expr: &Expr) -> Arc<dyn PhysicalExpr> {
    match expr {
        Expr::Literal(value, _) => Arc::new(Literal::new(value.clone())),
        _ => Arc::new(Column::new("argument", 0)),
    }
}

/// Whether a query gives the same rows each time, as far as can be told: what cannot is noticed from pass to pass.
fn is_repeatable(plan: &LogicalPlan) -> bool {
    let mut repeatable = true;
    let walked = plan.apply_with_subqueries(|node| {
        repeatable &= !matches!(node, LogicalPlan::Limit(_));
        for expr in node.expressions() {
            expr.apply(|expr| {
                repeatable &=
                    !expr.is_volatile_node() && !matches!(expr, Expr::OuterReferenceColumn(..));
                Ok(TreeNodeRecursion::Continue)
            })?;
        }
        Ok(if repeatable {
            TreeNodeRecursion::Continue
        } else {
            TreeNodeRecursion::Stop
        })
    });
    repeatable && walked.is_ok()
}

/// The rows of an answer, if it has any.
fn collected(batches: &[RecordBatch]) -> Result<Option<RecordBatch>> {
    let first = batches.first();
    let rows = first.map(|first| concat_batches(&first.schema(), batches));
    Ok(rows.transpose()?.filter(|rows| rows.num_rows() > 0))
}

fn sorted_by_place(found: &RecordBatch) -> Result<RecordBatch> {
    let order: UInt32Array = sort_to_indices(found.column(0), None, None)?;
    let columns = found.columns().iter();
    let columns: Vec<ArrayRef> = columns
        .map(|column| Ok(take(column, &order, None)?))
        .collect::<Result<_>>()?;
    let sorted = RecordBatch::try_new(found.schema(), columns)?;
    let places = sorted.column(0).as_primitive::<Int64Type>();
    let mut expected = 0..;
    if places.null_count() > 0
        || places
            .values()
            .iter()
            .any(|place| Some(*place) != expected.next())
    {
        return internal_err!("{CHANGED}");
    }
    Ok(sorted)
}
