//! `WITH drawn AS (SELECT * FROM person ORDER BY random() LIMIT 100) … FROM drawn a JOIN drawn b …`: rows that come anew each time.
//!
//! The engine (DataFusion 55) plans a CTE where it is read, and so draws another hundred persons in each place, where DuckDB draws
//! them once. Nothing tells the two from each other in what comes out, so that such a query is refused.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use datafusion::common::plan_datafusion_err;
use datafusion::error::DataFusionError;
use datafusion::execution::SessionState;
use datafusion::logical_expr::Volatility;
use datafusion::sql::sqlparser::ast::{
    Expr, ObjectName, Query, Visit, VisitorMut, visit_expressions, visit_relations,
};

use crate::selects::folded;

/// Breaks off at a CTE that is read in several places and has other rows in each.
pub(crate) struct ReadTwice<'a> {
    pub(crate) state: &'a SessionState,
}

impl VisitorMut for ReadTwice<'_> {
    type Break = DataFusionError;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<DataFusionError> {
        let Some(with) = &query.with else {
            return ControlFlow::Continue(());
        };
        let mut anew = BTreeSet::new();
        for cte in &with.cte_tables {
            let reads = |name: &String| times(&cte.query, name) > 0;
            if self.draws(&cte.query) || anew.iter().any(reads) {
                anew.insert(folded(&cte.alias.name));
            }
        }
        // Of a recursion's own name each round has its rows.
        let within = |name: &str| {
            let own = with.cte_tables.iter();
            let own = own.filter(|cte| folded(&cte.alias.name) == *name);
            own.map(|cte| times(&cte.query, name)).sum::<usize>()
        };
        match anew
            .iter()
            .find(|name| times(query, name) > within(name) + 1)
        {
            Some(name) => ControlFlow::Break(plan_datafusion_err!(
                "`{name}` has other rows each time that it is read, and is read more than once here: write `CREATE TABLE {name} AS …` \
                 first"
            )),
            None => ControlFlow::Continue(()),
        }
    }
}

impl ReadTwice<'_> {
    /// Whether a query calls what answers anew each time.
    fn draws(&self, query: &Query) -> bool {
        let functions = self.state.scalar_functions();
        let draws = |name: &ObjectName| {
            let name = name.to_string().to_ascii_lowercase();
            let known = functions.get(&name);
            known.is_some_and(|known| known.signature().volatility == Volatility::Volatile)
        };
        visit_expressions(query, |expr| match expr {
            Expr::Function(function) if draws(&function.name) => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        })
        .is_break()
    }
}

/// In how many places a table of this name is read.
fn times<V: Visit>(of: &V, name: &str) -> usize {
    let mut times = 0;
    // The visitor never breaks off.
    let _ = visit_relations(of, |table| {
        let parts = table.0.as_slice();
        let named = parts.iter().map(|part| part.as_ident().map(folded));
        times += usize::from(named.eq([Some(name.to_owned())]));
        ControlFlow::<()>::Continue(())
    });
    times
}
