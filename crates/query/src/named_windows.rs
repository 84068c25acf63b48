//! Windows by their names: `OVER w`, `OVER (w ORDER BY …)`, `WINDOW w2 AS (w ROWS …)`.
//!
//! The engine (DataFusion 55) knows `OVER w` in a SELECT list, and forgets the name where more stands beside it. Here the
//! definition takes the name's place, with what SQL lets it take over: PARTITION BY, and ORDER BY where there is none.

use std::ops::ControlFlow;

use datafusion::common::{Result, plan_err};
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, NamedWindowDefinition, NamedWindowExpr, OrderBy, Query, Select, SetExpr, VisitMut,
    VisitorMut, WindowSpec, WindowType,
};

use crate::joins::same;

/// Puts the definitions of windows in place of their names.
#[derive(Debug)]
pub(crate) struct NamedWindows;

impl VisitorMut for NamedWindows {
    type Break = DataFusionError;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<DataFusionError> {
        selects(&mut query.body, &mut query.order_by)
    }
}

fn selects(body: &mut SetExpr, order: &mut Option<OrderBy>) -> ControlFlow<DataFusionError> {
    match body {
        SetExpr::Select(select) => resolve(select, order),
        SetExpr::SetOperation { left, right, .. } => {
            selects(left, &mut None)?;
            selects(right, &mut None)
        }
        _ => ControlFlow::Continue(()),
    }
}

fn resolve(select: &mut Select, order: &mut Option<OrderBy>) -> ControlFlow<DataFusionError> {
    let mut windows = Windows::default();
    for NamedWindowDefinition(name, definition) in &mut select.named_window {
        let spec = match definition {
            NamedWindowExpr::NamedWindow(other) => windows.find(other).cloned(),
            NamedWindowExpr::WindowSpec(spec) => windows.complete(spec).map(|()| spec.clone()),
        };
        match spec {
            Ok(spec) => {
                *definition = NamedWindowExpr::WindowSpec(spec.clone());
                windows.known.push((name.clone(), spec));
            }
            Err(error) => return ControlFlow::Break(error),
        }
    }
    select.projection.visit(&mut windows)?;
    select.qualify.visit(&mut windows)?;
    order.visit(&mut windows)
}

/// The windows of one SELECT. Those of its subqueries are their own.
#[derive(Default)]
struct Windows {
    known: Vec<(Ident, WindowSpec)>,
    depth: usize,
}

impl Windows {
    fn find(&self, name: &Ident) -> Result<&WindowSpec> {
        match self.known.iter().find(|(known, _)| same(known, name)) {
            Some((_, spec)) => Ok(spec),
            None => plan_err!("the window `{name}` is not defined: add `WINDOW {name} AS (…)`"),
        }
    }

    /// Adds what a window takes over from the one that it names.
    fn complete(&self, spec: &mut WindowSpec) -> Result<()> {
        let Some(name) = spec.window_name.take() else {
            return Ok(());
        };
        let base = self.find(&name)?;
        if base.window_frame.is_some() {
            return plan_err!(
                "`({name} …)` cannot take over the frame of the window `{name}`: write `OVER {name}`, or leave the frame out of its definition"
            );
        }
        if !spec.partition_by.is_empty() {
            return plan_err!("`({name} …)` cannot have a PARTITION BY of its own");
        }
        if !spec.order_by.is_empty() && !base.order_by.is_empty() {
            return plan_err!("`({name} …)` cannot have an ORDER BY beside that of `{name}`");
        }
        spec.partition_by = base.partition_by.clone();
        if spec.order_by.is_empty() {
            spec.order_by = base.order_by.clone();
        }
        Ok(())
    }
}

impl VisitorMut for Windows {
    type Break = DataFusionError;

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<DataFusionError> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<DataFusionError> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<DataFusionError> {
        if self.depth > 0 {
            return ControlFlow::Continue(());
        }
        let Expr::Function(function) = expr else {
            return ControlFlow::Continue(());
        };
        let done = match &mut function.over {
            Some(WindowType::WindowSpec(spec)) => self.complete(spec),
            Some(WindowType::NamedWindow(name)) => self.find(name).cloned().map(|spec| {
                function.over = Some(WindowType::WindowSpec(spec));
            }),
            None => Ok(()),
        };
        match done {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }
}
