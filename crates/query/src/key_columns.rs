//! Keys of groups and windows that are columns of the rows.

use std::sync::Arc;

use datafusion::common::{Column, Result};
use datafusion::logical_expr::{Expr, LogicalPlan, Projection, Window};

/// Expressions that become columns beside those of the rows, each once.
#[derive(Debug)]
pub(crate) struct KeyColumns {
    name: &'static str,
    found: Vec<Expr>,
}

impl KeyColumns {
    /// None yet; their names begin with this.
    pub(crate) fn named(name: &'static str) -> Self {
        let found = Vec::new();
        Self { name, found }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// The column in place of an expression. A set's key is there as often as the sets that have it.
    pub(crate) fn of(&mut self, expr: Expr) -> Expr {
        let known = self.found.iter().position(|known| *known == expr);
        let at = known.unwrap_or_else(|| {
            self.found.push(expr);
            self.found.len() - 1
        });
        Expr::Column(Column::new_unqualified(self.name_of(at)))
    }

    /// The rows with these columns beside their own.
    ///
    /// # Errors
    /// When one cannot be computed of the rows.
    pub(crate) fn beside(self, rows: &Arc<LogicalPlan>) -> Result<Arc<LogicalPlan>> {
        let found = self.found.iter().enumerate();
        let found = found.map(|(at, expr)| expr.clone().alias(self.name_of(at)));
        let columns = rows.schema().columns();
        let columns = columns.into_iter().map(Expr::Column).chain(found);
        let rows = Projection::try_new(columns.collect(), Arc::clone(rows))?;
        Ok(Arc::new(LogicalPlan::Projection(rows)))
    }

    fn name_of(&self, at: usize) -> String {
        format!("{}_{at}", self.name)
    }
}

/// Windows over rows with more columns, without these: whoever reads them finds what was there.
///
/// # Errors
/// When they cannot be computed of the rows.
pub(crate) fn windows_over(
    windows: &Window,
    exprs: Vec<Expr>,
    rows: Arc<LogicalPlan>,
) -> Result<LogicalPlan> {
    let shown = windows.schema.columns().into_iter().map(Expr::Column);
    let windows = LogicalPlan::Window(Window::try_new(exprs, rows)?);
    let shown = Projection::try_new(shown.collect(), Arc::new(windows))?;
    Ok(LogicalPlan::Projection(shown))
}
