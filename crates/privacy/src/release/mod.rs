//! Roles that see numbers about groups of persons only: how their queries are read, rewritten, and answered.
//!
//! [`protect`] puts one rule into a session. Every plan passes it, however it was made, after its types are settled
//! and before anything is optimised. The rule finds where numbers about groups of persons arise, puts a release
//! there, and refuses what it does not know to be safe. Above the releases the query goes on with numbers that were
//! made safe; below them no expression can fail on a value.

mod aggregate;
mod alike;
mod apart;
mod collect;
mod condition;
mod curve;
mod double;
mod expression;
mod group;
mod join;
mod joined;
mod lenient;
mod lens;
mod measure;
mod missing;
mod model;
mod node;
mod noise;
mod numbers;
mod principal;
mod private;
mod public;
mod question;
mod recomputed;
mod record;
mod refused;
mod regression;
mod sample;
mod shape;
mod sources;
mod spec;
mod tables;
#[cfg(test)]
mod tests;
mod total;
mod value;
mod wire;
mod words;

use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use datafusion::common::Result;
use datafusion::config::ConfigOptions;
use datafusion::execution::SessionStateBuilder;
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::AnalyzerRule;
use datafusion::prelude::SessionContext;

pub use aggregate::{Controlled, OnRelease};
pub use curve::{Declared, Estimator, Releasable, Source};
pub use lens::Lens;
pub use numbers::Withheld;
pub use principal::{Restriction, named, restrict};
pub use private::{Private, Rules};
pub use sources::{Sources, TableRole};
pub use tables::Tables;
pub use wire::{
    decode_aggregate, decode_scalar, encode_aggregate, encode_scalar, has_releases, with_inputs,
};

use shape::{Releaser, Shaper};

/// What a release does when its query runs.
pub(crate) trait Release: Debug + Send + Sync {
    /// The answer, where it is known without running the query.
    fn before(&self) -> Result<Option<RecordBatch>>;
    /// The answer, from what was computed.
    fn answer(&self, computed: &RecordBatch) -> Result<RecordBatch>;
}

/// What a role is told beside its answers: how exact they are, and what they cost. None of it depends on the data.
#[derive(Debug, Default)]
pub struct Notes(Mutex<Vec<String>>);

impl Notes {
    /// Adds a note, once.
    pub(crate) fn add(&self, note: String) {
        let mut notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !notes.contains(&note) {
            notes.push(note);
        }
    }

    /// The notes since the last time.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// How a role's numbers are made safe.
#[derive(Debug, Clone)]
pub enum Method {
    /// Disclosure control.
    Controlled(Arc<Controlled>),
    /// Differential privacy.
    Private(Arc<Private>),
}

/// A session in which nothing is seen but released numbers. `sources` knows what its tables hold.
#[must_use]
pub fn protect(ctx: &SessionContext, sources: Arc<dyn Sources>, method: Method) -> SessionContext {
    let state = SessionStateBuilder::new_from_existing(ctx.state())
        .with_analyzer_rule(Arc::new(Rule { sources, method }))
        .with_query_planner(Arc::new(node::ReleasePlanner))
        .build();
    SessionContext::new_with_state(state)
}

#[derive(Debug)]
struct Rule {
    sources: Arc<dyn Sources>,
    method: Method,
}

impl AnalyzerRule for Rule {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let releaser: &dyn Releaser = match &self.method {
            Method::Controlled(controlled) => controlled,
            Method::Private(private) => private,
        };
        let shaper = Shaper {
            sources: self.sources.as_ref(),
            releaser,
        };
        shaper.query(plan)
    }

    fn name(&self) -> &str {
        "release"
    }
}
