//! Refusals: which rule, and what to do instead. They depend on the query and the policy alone.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DataFusionError, Diagnostic, Result, Span};
use datafusion::logical_expr::Expr;

use crate::Refusal;

/// Refuses by a rule.
pub(super) fn refuse<T>(
    rule: &'static str,
    what: impl Into<String>,
    instead: impl Into<String>,
) -> Result<T> {
    Err(refusal(rule, what, instead))
}

pub(super) fn refusal(
    rule: &'static str,
    what: impl Into<String>,
    instead: impl Into<String>,
) -> DataFusionError {
    Refusal::new(rule, what, instead).into()
}

/// Says where in the query the expression begins that was refused, if its columns know.
pub(super) fn within<T>(of: Result<T>, expr: &Expr) -> Result<T> {
    of.map_err(|error| match (error.diagnostic(), first_place(expr)) {
        (None, Some(span)) => {
            let diagnostic = Diagnostic::new_error("refused", Some(span));
            error.with_diagnostic(diagnostic)
        }
        _ => error,
    })
}

fn first_place(expr: &Expr) -> Option<Span> {
    let mut first: Option<Span> = None;
    let walked = expr.apply(|part| {
        if let Expr::Column(column) = part {
            let spans = column.spans.iter().filter(|span| span.start.line > 0);
            first = spans
                .copied()
                .chain(first)
                .min_by_key(|span| (span.start.line, span.start.column));
        }
        Ok(TreeNodeRecursion::Continue)
    });
    walked.ok().and(first)
}
