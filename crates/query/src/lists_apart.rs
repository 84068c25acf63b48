//! `x NOT IN (1, 2) OR x NOT IN (3, 4)`: lists that have no value in common.
//!
//! The simplifier (DataFusion 55) makes one list of those of one value, and true or false of what they have not in common, where a NULL
//! is in neither and not out of them. Here it does not see that they are of one value, where that may be NULL.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result, internal_err};
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{
    BinaryExpr, Cast, ColumnarValue, Expr, ExprSchemable, LogicalPlan, Operator, ReturnFieldArgs,
    ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TryCast, Volatility, lit,
};
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

use crate::function_rewrites::columns_of;
use crate::kept_names;
use crate::unnested::{Rule, applied};

/// The engine's simplifier, to which each list is of a value of its own.
#[derive(Debug)]
pub(crate) struct ListsApart {
    pub(crate) rule: Rule,
}

impl OptimizerRule for ListsApart {
    fn name(&self) -> &str {
        self.rule.name()
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        let marked = plan.transform_up_with_subqueries(|node| {
            let schema = columns_of(&node)?;
            kept_names::changed(node, |expr| marked(expr, &schema))
        })?;
        let simplified = applied(&self.rule, marked.data, config)?;
        if !marked.transformed {
            return Ok(simplified);
        }
        let unmarked = simplified.data.transform_up_with_subqueries(|node| {
            node.map_expressions(|expr| {
                expr.transform_up(|expr| {
                    Ok(match expr {
                        Expr::ScalarFunction(mut call) if call.func == *MARK => {
                            Transformed::yes(call.args.swap_remove(0))
                        }
                        Expr::Alias(alias)
                            if alias.relation.is_none()
                                && alias.expr.schema_name().to_string() == alias.name =>
                        {
                            Transformed::yes(*alias.expr)
                        }
                        other => Transformed::no(other),
                    })
                })
            })
        })?;
        Ok(Transformed::new_transformed(
            unmarked.data,
            simplified.transformed,
        ))
    }
}

/// The values that more than one list of an expression is of, each marked as another value.
fn marked(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let mut of: Vec<Expr> = Vec::new();
    expr.apply(|part| {
        of.extend(listed(part).cloned());
        // Its equalities are one list.
        Ok(match part {
            Expr::BinaryExpr(BinaryExpr {
                op: Operator::Or, ..
            }) if listed(part).is_some() => TreeNodeRecursion::Jump,
            _ => TreeNodeRecursion::Continue,
        })
    })?;
    let mut several = Vec::new();
    for (at, value) in of.iter().enumerate() {
        if of[..at].contains(value) && !several.contains(value) && value.nullable(schema)? {
            several.push(value.clone());
        }
    }
    if several.is_empty() {
        return Ok(Transformed::no(expr));
    }
    let mut marks = 0_i64;
    expr.transform_down(|part| {
        let Some(value) = listed(&part)
            .filter(|value| several.contains(value))
            .cloned()
        else {
            return Ok(Transformed::no(part));
        };
        marks += 1;
        let mark = MARK.call(vec![value.clone(), lit(marks)]);
        let part = part.transform_down(|inner| {
            Ok(match inner == value {
                true => Transformed::new(mark.clone(), true, TreeNodeRecursion::Jump),
                false => Transformed::no(inner),
            })
        })?;
        Ok(Transformed::new(part.data, true, TreeNodeRecursion::Jump))
    })
}

/// The value that an expression looks for among others, without its casts.
fn listed(expr: &Expr) -> Option<&Expr> {
    match expr {
        Expr::InList(InList { expr, .. }) => Some(bare(expr)),
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match op {
            Operator::Eq | Operator::NotEq if matches!(right.as_ref(), Expr::Literal(..)) => {
                Some(bare(left))
            }
            Operator::Eq | Operator::NotEq if matches!(left.as_ref(), Expr::Literal(..)) => {
                Some(bare(right))
            }
            // Those in one of two lists are those in one of both.
            Operator::Or if !is_negated(left) && !is_negated(right) => {
                listed(left).filter(|value| listed(right) == Some(value))
            }
            _ => None,
        },
        _ => None,
    }
}

fn is_negated(expr: &Expr) -> bool {
    match expr {
        Expr::InList(list) => list.negated,
        Expr::BinaryExpr(BinaryExpr { op, .. }) => *op == Operator::NotEq,
        _ => false,
    }
}

fn bare(expr: &Expr) -> &Expr {
    match expr {
        Expr::Cast(Cast { expr, .. }) | Expr::TryCast(TryCast { expr, .. }) => bare(expr),
        other => other,
    }
}

static MARK: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    Arc::new(ScalarUDF::new_from_impl(Mark {
        signature: Signature::any(2, Volatility::Immutable),
    }))
});

/// A value that the simplifier takes for another one.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Mark {
    signature: Signature,
}

impl ScalarUDFImpl for Mark {
    fn name(&self) -> &'static str {
        "columna_mark"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, kinds: &[DataType]) -> Result<DataType> {
        match kinds {
            [kind, ..] => Ok(kind.clone()),
            [] => internal_err!("a mark is of a value"),
        }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(Arc::clone(&args.arg_fields[0]))
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Ok(args.args.swap_remove(0))
    }
}
