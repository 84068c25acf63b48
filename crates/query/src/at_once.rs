//! Puts few aggregate functions in the place of many that keep the same rows.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan, Projection};

/// An aggregate with `functions` for some of its own, and a projection that makes the old columns of their results.
///
/// `parts` says of each old function which of the new ones it is a part of, and which part, for `take`; nothing, if it
/// stays.
pub(crate) fn replaced<P>(
    aggregate: &Aggregate,
    functions: Vec<Expr>,
    parts: &[Option<(usize, P)>],
    take: impl Fn(Expr, &P) -> Expr,
) -> Result<LogicalPlan> {
    let kept = aggregate.aggr_expr.iter().zip(parts);
    let kept = kept.filter(|(_, part)| part.is_none());
    let mut all: Vec<Expr> = kept.map(|(function, _)| function.clone()).collect();
    let groups = aggregate.schema.fields().len() - aggregate.aggr_expr.len();
    let first = groups + all.len();
    all.extend(functions);
    let input = Arc::clone(&aggregate.input);
    let changed = Aggregate::try_new(input, aggregate.group_expr.clone(), all)?;
    let columns = changed.schema.columns();
    let mut next = groups;
    let mut outputs: Vec<Expr> = columns[..groups]
        .iter()
        .cloned()
        .map(Expr::Column)
        .collect();
    for (part, (relation, field)) in parts.iter().zip(aggregate.schema.iter().skip(groups)) {
        outputs.push(if let Some((at, part)) = part {
            let whole = Expr::Column(columns[first + at].clone());
            take(whole, part).alias_qualified(relation.cloned(), field.name())
        } else {
            next += 1;
            Expr::Column(columns[next - 1].clone())
        });
    }
    let changed = Arc::new(LogicalPlan::Aggregate(changed));
    let projection = Projection::try_new(outputs, changed)?;
    Ok(LogicalPlan::Projection(projection))
}
