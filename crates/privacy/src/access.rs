//! A principal's way into a session: the tables it sees, the statements it may make, the releases it gets.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use columna_model::TableKind;
use columna_store::{Snapshot, Store};
use datafusion::catalog::TableProvider;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result as EngineResult, ScalarValue, TableReference};
use datafusion::datasource::source_as_provider;
use datafusion::error::DataFusionError;
use datafusion::execution::SessionStateBuilder;
use datafusion::logical_expr::{ExplainFormat, LogicalPlan, TableScan};
use datafusion::prelude::{SessionConfig, SessionContext};

use crate::audit::{AuditLog, Event, Subject};
use crate::disclosure::releases::{Reader, Releases};
use crate::disclosure::{self, Profile};
use crate::guard::{GuardedTable, guard};
use crate::ledger::{AccountKey, Ledger};
use crate::policy::{Disclosure, Dp, KeyValue, RoleKind};
use crate::pseudonym::ProjectKeys;
use crate::release::{
    Controlled, Declared, Method, Notes, Private, Rules, Sources, TableRole, protect,
};
use crate::{Error, Policy, Principal, Refusal, Result, State};

/// Who enters, under which policy.
#[derive(Debug, Clone)]
pub struct Access {
    /// The policy.
    pub policy: Arc<Policy>,
    /// The principal.
    pub principal: Principal,
    /// The keys of its project, where its role sees pseudonyms or shifted dates.
    pub keys: Option<Arc<ProjectKeys>>,
    /// Where budgets, releases and the audit log are kept.
    pub state: State,
}

/// Stands at a session's only entrance. It is among the session's extensions, so that whoever plans a statement
/// finds it there.
pub struct Gate {
    kind: RoleKind,
    audit: AuditLog,
    subject: Subject,
    notes: Arc<Notes>,
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

impl Access {
    /// The kind of the principal's role.
    ///
    /// # Errors
    /// When the policy does not allow the role, purpose or project.
    pub fn kind(&self) -> Result<RoleKind> {
        Ok(self.policy.role(&self.principal)?.kind)
    }

    /// The settings of a session for this principal: to be made before the session is.
    ///
    /// # Errors
    /// When the policy does not allow the role, purpose or project.
    pub fn configure(&self, snapshot: &Snapshot, config: SessionConfig) -> Result<SessionConfig> {
        let kind = self.kind()?;
        let gate = Gate {
            kind,
            audit: AuditLog::at(self.state.audit()),
            subject: Subject {
                principal: self.principal.clone(),
                policy: format!("{} {}", self.policy.version, short(&self.policy.hash)),
                snapshot: format!("{} {}", snapshot.version(), short(snapshot.hash())),
            },
            notes: Arc::new(Notes::default()),
        };
        let mut config = config.with_extension(Arc::new(gate));
        if kind != RoleKind::Steward {
            // A physical plan names files, and how many remain tells of rows that are hidden.
            config.options_mut().explain.logical_plan_only = true;
        }
        Ok(config)
    }

    /// The tables that the principal sees.
    ///
    /// # Errors
    /// When the policy does not fit the store, or a key is missing.
    pub fn tables(
        &self,
        store: &Store,
        snapshot: &Snapshot,
    ) -> Result<Vec<(String, Arc<dyn TableProvider>)>> {
        guard(
            store,
            snapshot,
            &self.policy,
            &self.principal,
            self.keys.as_ref(),
        )
    }

    /// The session as the principal gets it: for aggregate and differentially private roles, one in which nothing
    /// is seen but released numbers. `declared` says how the results of our own statistics may be disclosed.
    ///
    /// # Errors
    /// When its records can't be opened.
    pub fn protect(
        &self,
        ctx: SessionContext,
        snapshot: &Snapshot,
        declared: BTreeMap<String, Declared>,
    ) -> Result<SessionContext> {
        let role = self.policy.role(&self.principal)?;
        let Some(gate) = ctx.state().config().get_extension::<Gate>() else {
            return Err(Error::refused(
                "session",
                "this session was not made for a principal".to_owned(),
                "make it with `columna_query::session`".to_owned(),
            ));
        };
        let project = self
            .policy
            .project(&self.principal)
            .map_or_else(String::new, |project| project.name.clone());
        let records = |error: &dyn std::error::Error| Error::Records {
            message: error.to_string(),
        };
        let method = match role.kind {
            RoleKind::Steward => return Ok(ctx),
            RoleKind::Analyst => {
                let state = SessionStateBuilder::new_from_existing(ctx.state())
                    .with_config(fixed_catalogue(&ctx))
                    .build();
                return Ok(SessionContext::new_with_state(state));
            }
            RoleKind::Aggregate => {
                self.state
                    .dataset(&snapshot_name(snapshot))
                    .map_err(|e| records(&e))?;
                let releases = Releases::open(&self.state.releases()).map_err(|e| records(&e))?;
                let teller = Arc::clone(&gate);
                Method::Controlled(Arc::new(Controlled {
                    profile: profile(role.disclosure.as_ref())?,
                    reader: Reader {
                        snapshot: snapshot.hash().to_owned(),
                        principal: self.principal.name.clone(),
                    },
                    releases: Arc::new(releases),
                    declared,
                    notes: Arc::clone(&gate.notes),
                    on_release: Some(Arc::new(move |withheld| {
                        teller.note(Event::Withheld {
                            groups: withheld.groups,
                            numbers: withheld.numbers,
                        });
                    })),
                }))
            }
            RoleKind::Dp => {
                let Some(dp) = &role.dp else {
                    return Err(no_rules(&role.name));
                };
                let dataset = self
                    .state
                    .dataset(&snapshot_name(snapshot))
                    .map_err(|e| records(&e))?;
                let ledger = Ledger::open(&self.state.ledger()).map_err(|e| records(&e))?;
                Method::Private(Arc::new(Private {
                    rules: rules(dp),
                    account: AccountKey {
                        dataset,
                        project,
                        principal: self.principal.name.clone(),
                    },
                    snapshot: snapshot.hash().to_owned(),
                    ledger: Arc::new(ledger),
                    notes: Arc::clone(&gate.notes),
                }))
            }
        };
        let bounds = role.dp.as_ref().map(|dp| dp.bounds.clone());
        let sources = Guarded {
            bounds: bounds.unwrap_or_default(),
        };
        let state = SessionStateBuilder::new_from_existing(ctx.state())
            .with_config(fixed_catalogue(&ctx))
            .build();
        let ctx = SessionContext::new_with_state(state);
        Ok(protect(&ctx, Arc::new(sources), method))
    }
}

/// The session's settings, with the catalogue that is there already.
fn fixed_catalogue(ctx: &SessionContext) -> SessionConfig {
    ctx.copied_config()
        .with_create_default_catalog_and_schema(false)
}

/// The first snapshot names the data set; its name is kept from then on.
fn snapshot_name(snapshot: &Snapshot) -> String {
    short(snapshot.hash()).to_owned()
}

fn short(hash: &str) -> &str {
    hash.get(..16).unwrap_or(hash)
}

fn no_rules(role: &str) -> Error {
    Error::refused(
        "policy",
        format!("the policy does not say how answers of the role `{role}` are made safe"),
        "ask the policy's author; `columna privacy policy check` shows it".to_owned(),
    )
}

/// The named profile, with what the policy sets otherwise.
fn profile(wanted: Option<&Disclosure>) -> Result<Profile> {
    let Some(wanted) = wanted else {
        return Err(no_rules(""));
    };
    let Some(mut profile) = disclosure::profile(&wanted.profile) else {
        return Err(no_rules(&wanted.profile));
    };
    if let Some(k) = wanted.k {
        profile.k = k;
    }
    profile.round_to = wanted.round_to.or(profile.round_to);
    if let Some(share) = wanted.dominance_share {
        profile.dominance.1 = share;
    }
    if let Some(n) = wanted.dominance_n {
        profile.dominance.0 = n;
    }
    if let Some(p) = wanted.p_ratio {
        profile.p_ratio = p;
    }
    if let Some(events) = wanted.events_per_coefficient {
        profile.events_per_coefficient = events;
    }
    Ok(profile)
}

fn rules(dp: &Dp) -> Rules {
    let value = |key: &KeyValue| match key {
        KeyValue::Integer(number) => ScalarValue::Int64(Some(*number)),
        KeyValue::Text(text) => ScalarValue::Utf8(Some(text.clone())),
        KeyValue::Boolean(truth) => ScalarValue::Boolean(Some(*truth)),
    };
    Rules {
        epsilon: dp.epsilon,
        delta: dp.delta,
        epsilon_per_query: dp.epsilon_per_query,
        max_groups: dp.max_groups as usize,
        max_rows: dp.max_rows as usize,
        keys: dp
            .keys
            .iter()
            .map(|(column, keys)| (column.clone(), keys.iter().map(value).collect()))
            .collect(),
    }
}

/// What guarded tables hold, by what their guards know.
#[derive(Debug)]
struct Guarded {
    bounds: BTreeMap<(String, String), (f64, f64)>,
}

impl Sources for Guarded {
    fn role(&self, scan: &TableScan) -> Option<TableRole> {
        if is_catalogue(&scan.table_name) {
            return Some(TableRole::Public(None));
        }
        let provider = source_as_provider(&scan.source).ok()?;
        let Some(table) = provider.downcast_ref::<GuardedTable>() else {
            // The only table function whose rows are no person's: it reads the vocabulary that the principal sees.
            return (scan.table_name.table() == "concept_set()")
                .then(|| TableRole::Public(Some("concept_id".to_owned())));
        };
        if let Some((person, _)) = table.person_column() {
            return Some(TableRole::Persons(person.to_owned()));
        }
        let def = columna_model::table(&table.spec().table)?;
        let key = def.primary_key().map(str::to_owned);
        match def.kind {
            TableKind::Vocabulary => Some(TableRole::Public(key)),
            TableKind::HealthSystem => Some(TableRole::Linked(key)),
            _ => None,
        }
    }

    fn bounds(&self, table: &str, column: &str) -> Option<(f64, f64)> {
        let key = (table.to_lowercase(), column.to_lowercase());
        self.bounds.get(&key).copied()
    }
}

fn is_catalogue(table: &TableReference) -> bool {
    table.schema() == Some("information_schema")
}

impl Gate {
    /// The kind of the principal's role.
    #[must_use]
    pub fn kind(&self) -> RoleKind {
        self.kind
    }

    /// Whether the session shows less than everything.
    #[must_use]
    pub fn restricts(&self) -> bool {
        self.kind != RoleKind::Steward
    }

    /// What the principal is told beside its answers, since the last time.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        self.notes.take()
    }

    /// Lets a statement in, or refuses it; both are on record before this returns. `statement` is its text without
    /// values.
    ///
    /// # Errors
    /// A refusal, or the audit log can't be written.
    pub fn admit(&self, statement: &str, plan: &LogicalPlan) -> EngineResult<()> {
        let admitted = if self.restricts() {
            allowed(plan)
        } else {
            Ok(())
        };
        match admitted {
            Ok(()) => Ok(self.record(Event::Asked, statement)?),
            Err(error) => {
                let code = Refusal::within(&error).map_or("error", |refusal| refusal.code);
                self.record(Event::Refused(code.to_owned()), statement)?;
                Err(error)
            }
        }
    }

    /// Puts on record that a statement could not be planned.
    ///
    /// # Errors
    /// When the audit log can't be written.
    pub fn reject(&self, statement: &str, error: &DataFusionError) -> EngineResult<()> {
        let code = Refusal::within(error).map_or("plan", |refusal| refusal.code);
        Ok(self.record(Event::Refused(code.to_owned()), statement)?)
    }

    /// Puts on record how a statement ended.
    ///
    /// # Errors
    /// When the audit log can't be written.
    pub fn ended(&self, error: Option<&DataFusionError>) -> Result<()> {
        let event = match error {
            None => Event::Answered,
            Some(error) => match Refusal::within(error) {
                Some(refusal) => Event::Refused(refusal.code.to_owned()),
                None => Event::Failed,
            },
        };
        self.record(event, "")
    }

    fn record(&self, event: Event, statement: &str) -> Result<()> {
        self.audit.append(&self.subject, event, statement)
    }

    /// For what happens in the middle of an answer: the line that says how it ended fails where this does.
    fn note(&self, event: Event) {
        let _ = self.record(event, "");
    }
}

/// Which statements a restricted principal may make: those that read.
fn allowed(plan: &LogicalPlan) -> EngineResult<()> {
    plan.apply_with_subqueries(|node| {
        let refused = match node {
            LogicalPlan::Ddl(_) => Some((
                "ddl",
                "this role reads; it makes no tables, views or functions",
                "write the query where its result is used, WITH name AS (...)",
            )),
            LogicalPlan::Dml(_) => {
                Some(("dml", "this role reads; it writes no rows", "use SELECT"))
            }
            LogicalPlan::Copy(_) => Some((
                "copy",
                "this role writes no files from within the engine",
                "use SELECT, and `--output FILE`",
            )),
            LogicalPlan::Statement(_) => Some((
                "statement",
                "this role changes no settings and prepares no statements",
                "use SELECT; values go in with `--param`",
            )),
            LogicalPlan::Analyze(_) => Some((
                "explain",
                "EXPLAIN ANALYZE counts rows that this role may not see",
                "use EXPLAIN",
            )),
            LogicalPlan::Explain(explain)
                if explain.verbose || explain.explain_format != ExplainFormat::Indent =>
            {
                Some((
                    "explain",
                    "only plain EXPLAIN is for this role: others show how many rows lie where",
                    "use EXPLAIN",
                ))
            }
            LogicalPlan::Extension(_) => Some((
                "plan",
                "this kind of plan is not for this role",
                "use SELECT",
            )),
            _ => None,
        };
        match refused {
            Some((code, message, hint)) => Err(Refusal::new(code, message, hint).into()),
            None => Ok(TreeNodeRecursion::Continue),
        }
    })?;
    Ok(())
}
