//! Conditions on persons' rows, and the subqueries within them.

use std::sync::Arc;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::logical_expr::expr::InSubquery;
use datafusion::logical_expr::{
    Between, BinaryExpr, Expr, LogicalPlan, LogicalPlanBuilder, Operator, Subquery,
};

use super::expression::{equal_sides, uncast};
use super::public::beside_persons;
use super::record::{is_record, names_a_record};
use super::refused::refuse;
use super::shape::{Kind, Outer, Rows, Shaper};

impl Shaper<'_> {
    /// A condition on persons' rows.
    pub(super) fn condition(
        &self,
        expr: Expr,
        rows: &Rows,
        schema: &DFSchema,
        outer: &Option<Outer<'_>>,
    ) -> Result<Expr> {
        match expr {
            Expr::BinaryExpr(BinaryExpr {
                left,
                op: op @ (Operator::And | Operator::Or),
                right,
            }) => Ok(Expr::BinaryExpr(BinaryExpr::new(
                Box::new(self.condition(*left, rows, schema, outer)?),
                op,
                Box::new(self.condition(*right, rows, schema, outer)?),
            ))),
            Expr::Not(inner) => Ok(Expr::Not(Box::new(
                self.condition(*inner, rows, schema, outer)?,
            ))),
            Expr::InSubquery(inner) => self.in_subquery(inner, rows, schema),
            Expr::Exists(mut exists) => {
                exists.subquery = self.exists(exists.subquery, rows, schema)?;
                Ok(Expr::Exists(exists))
            }
            // The rows around a linked subquery are of the same person: their other columns may be compared.
            other => match outer {
                Some(outer) => self.with_outer(other, rows, schema, outer),
                None => rows.scope(schema).total(other),
            },
        }
    }

    fn with_outer(
        &self,
        expr: Expr,
        rows: &Rows,
        schema: &DFSchema,
        outer: &Outer<'_>,
    ) -> Result<Expr> {
        let BinaryExpr { left, op, right } = match expr {
            Expr::BinaryExpr(binary) if is_comparison(binary.op) => binary,
            other => return rows.scope(schema).total(other),
        };
        let record = |side: &Expr| match uncast(side) {
            Expr::Column(column) if rows.origins.get(column).is_some_and(is_record) => {
                Some(column.clone())
            }
            Expr::OuterReferenceColumn(_, column) => {
                let origin = outer.rows.origins.get(column);
                origin.is_some_and(is_record).then(|| column.clone())
            }
            _ => None,
        };
        let both = (record(&left), record(&right));
        let equal = matches!(op, Operator::Eq | Operator::NotEq);
        if let (Some(column), None) | (None, Some(column)) = &both {
            return names_a_record(column);
        }
        if let (Some(column), Some(_), false) = (&both.0, &both.1, equal) {
            return names_a_record(column);
        }
        let side = |side: Expr| match side {
            // Of the rows around it, and not of those around them.
            Expr::OuterReferenceColumn(_, ref column)
                if outer.schema.has_column(column) && !outer.rows.persons.contains(column) =>
            {
                Ok(side)
            }
            other => rows.scope(schema).total(other),
        };
        Ok(Expr::BinaryExpr(BinaryExpr::new(
            Box::new(side(*left)?),
            op,
            Box::new(side(*right)?),
        )))
    }

    fn in_subquery(&self, inner: InSubquery, rows: &Rows, schema: &DFSchema) -> Result<Expr> {
        let by_person = rows.is_person(&inner.expr);
        let (plan, kind) =
            self.relation(Arc::unwrap_or_clone(inner.subquery.subquery), &mut None)?;
        if looks_out(&plan)? {
            return looking_out();
        }
        let first = plan.schema().iter().next().map(Column::from);
        let plan = match (kind, first) {
            (Kind::Public, _) if !by_person => beside_persons(plan)?,
            // One person whom an outer join did not find would make NOT IN unknown for everybody.
            (Kind::Rows(of), Some(first)) if by_person && of.persons.contains(&first) => {
                let first = Expr::Column(first);
                LogicalPlanBuilder::from(plan)
                    .filter(first.clone().is_not_null())?
                    .project([first])?
                    .build()?
            }
            _ => {
                return refuse(
                    "subquery",
                    "IN (SELECT ...) on persons' rows must compare the person with persons, or a value with a public table",
                    "write `person_id IN (SELECT person_id FROM ...)`",
                );
            }
        };
        if !by_person && let Some(column) = rows.scope(schema).record(&inner.expr) {
            return names_a_record(&column);
        }
        let expr = if by_person {
            inner.expr
        } else {
            Box::new(rows.scope(schema).total(*inner.expr)?)
        };
        Ok(Expr::InSubquery(InSubquery {
            expr,
            subquery: Subquery {
                subquery: Arc::new(plan),
                ..inner.subquery
            },
            negated: inner.negated,
        }))
    }

    fn exists(&self, subquery: Subquery, rows: &Rows, schema: &DFSchema) -> Result<Subquery> {
        let mut outer = Some(Outer {
            rows,
            schema,
            linked: false,
        });
        let (plan, _) = self.relation(Arc::unwrap_or_clone(subquery.subquery), &mut outer)?;
        if !outer.is_some_and(|outer| outer.linked) {
            return refuse(
                "subquery",
                "EXISTS must be linked to the row by the person, or it would tell of another one",
                "write `EXISTS (SELECT 1 FROM b WHERE b.person_id = a.person_id AND ...)`",
            );
        }
        Ok(Subquery {
            subquery: Arc::new(plan),
            ..subquery
        })
    }
}

/// Whether a relation looks at columns of a query around it, anywhere.
pub(super) fn looks_out(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        for expr in node.expressions() {
            found |= expr.exists(|part| Ok(matches!(part, Expr::OuterReferenceColumn(..))))?;
        }
        Ok(if found {
            TreeNodeRecursion::Stop
        } else {
            TreeNodeRecursion::Continue
        })
    })?;
    Ok(found)
}

/// Whether an expression looks at columns of a query around it, or a subquery within it does.
pub(super) fn expression_looks_out(expr: &Expr) -> Result<bool> {
    expr.exists(|part| match part {
        Expr::OuterReferenceColumn(..) => Ok(true),
        Expr::ScalarSubquery(inner) => looks_out(&inner.subquery),
        Expr::InSubquery(inner) => looks_out(&inner.subquery.subquery),
        Expr::Exists(inner) => looks_out(&inner.subquery.subquery),
        Expr::SetComparison(inner) => looks_out(&inner.subquery.subquery),
        _ => Ok(false),
    })
}

/// A table of no person that is looked through for each row of a person's: its conditions are the query's own, so that
/// they could tell of the row, by failing if by nothing else.
pub(super) fn looking_out<T>() -> Result<T> {
    refuse(
        "subquery",
        "a subquery looks at the rows of persons around it otherwise than EXISTS does",
        "link it by the person, EXISTS (SELECT 1 FROM b WHERE b.person_id = a.person_id AND ...); join a table of no person's by its key; or write the condition outside of the subquery",
    )
}

fn is_comparison(op: Operator) -> bool {
    matches!(
        op,
        Operator::Eq
            | Operator::NotEq
            | Operator::Lt
            | Operator::LtEq
            | Operator::Gt
            | Operator::GtEq
    )
}

/// Whether a condition says that a row is of the person of the row around it.
pub(super) fn is_link(condition: &Expr, rows: &Rows, outer: &Rows) -> bool {
    let Some((left, right)) = equal_sides(condition) else {
        return false;
    };
    let outside = |expr: &Expr| matches!(expr, Expr::OuterReferenceColumn(_, column) if *column == outer.person);
    let inside = |expr: &Expr| matches!(expr, Expr::Column(column) if *column == rows.person);
    (inside(left) && outside(right)) || (outside(left) && inside(right))
}

/// `x BETWEEN a AND b` that looks out of a subquery as its two comparisons.
pub(super) fn without_between(condition: Expr) -> Vec<Expr> {
    let looks_out = condition.contains_outer();
    match condition {
        Expr::Between(between) if !between.negated && looks_out => {
            let Between {
                expr, low, high, ..
            } = between;
            vec![expr.clone().gt_eq(*low), expr.lt_eq(*high)]
        }
        other => vec![other],
    }
}
