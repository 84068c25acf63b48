//! A principal's way into a session: the tables it sees, the statements it may make, the releases it gets.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use columna_store::{Snapshot, Store};
use datafusion::catalog::TableProvider;
use datafusion::common::Result as EngineResult;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::DataFusionError;
use datafusion::execution::SessionStateBuilder;
use datafusion::logical_expr::{ExplainFormat, LogicalPlan};
use datafusion::prelude::{SessionConfig, SessionContext};

use crate::audit::{AuditLog, Event, Subject};
use crate::dp::random::Random;
use crate::guard::guard;
use crate::names::Names;
use crate::policy::{RoleKind, Table};
use crate::pseudonym::ProjectKeys;
use crate::quiet::QuietPlanner;
use crate::release::{Notes, Releasable, Restriction, restrict};
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
    /// What each question may spend of a budget, where less is wanted than the policy gives.
    pub epsilon: Option<String>,
    /// Where budgets, releases and the audit log are kept.
    pub state: State,
}

/// The least memory that a role of numbers about groups works with, and the part of it that is drawn anew for each session.
const LEAST_MEMORY: usize = 256 << 20;
const DRAWN_PART: usize = 4;

/// Stands at a session's only entrance. It is among the session's extensions, so that whoever plans a statement
/// finds it there.
pub struct Gate {
    kind: RoleKind,
    policy: Arc<Policy>,
    audit: AuditLog,
    subject: Subject,
    notes: OnceLock<Arc<Notes>>,
    shown: Shown,
    names: Names,
    /// Statements that were let in and have not ended.
    open: AtomicUsize,
}

/// How each column of each table is shown.
type Shown = BTreeMap<String, BTreeMap<String, String>>;

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

    /// The memory that a session for this principal works with, of what it asks for.
    ///
    /// Whether a query outgrows its memory depends on the data: where one person's rows are made large by an expression,
    /// and the limit lies just above what all others need, being refused tells of that person. So who sees numbers about
    /// groups cannot choose a small limit, nor know by some part of it where it lies.
    ///
    /// # Errors
    /// When the policy does not allow the role, purpose or project, or the system has no randomness.
    pub fn memory(&self, asked: Option<usize>) -> Result<Option<usize>> {
        let (Some(asked), RoleKind::Aggregate | RoleKind::Dp) = (asked, self.kind()?) else {
            return Ok(asked);
        };
        let most = asked.max(LEAST_MEMORY);
        let drawn = Random::default().below((most / DRAWN_PART) as u128)?;
        Ok(Some(most - usize::try_from(drawn).unwrap_or_default()))
    }

    /// The settings of a session for this principal: to be made before the session is.
    ///
    /// # Errors
    /// When the policy does not allow the role, purpose or project, or a rule is to hide what the store has not.
    pub fn configure(&self, snapshot: &Snapshot, config: SessionConfig) -> Result<SessionConfig> {
        let kind = self.kind()?;
        self.state.create().map_err(|source| Error::Io {
            doing: "make the folder",
            what: self.state.folder().display().to_string(),
            source,
        })?;
        let tables = Table::all(snapshot);
        self.policy.fits(&self.principal, &tables)?;
        let view = self.policy.view(&self.principal, &tables)?;
        let shown = view.tables.iter().map(|(name, table)| {
            let columns = table.columns.iter();
            let columns = columns.map(|column| (column.name.clone(), column.rule.to_string()));
            (name.clone(), columns.collect())
        });
        let mut principal = self.principal.clone();
        let project = self.policy.project(&principal);
        principal.project = project.map(|project| project.name.clone());
        let gate = Gate {
            kind,
            policy: Arc::clone(&self.policy),
            audit: AuditLog::at(self.state.audit()),
            subject: Subject {
                principal,
                policy: format!("{} {}", self.policy.version, short(&self.policy.hash)),
                snapshot: format!("{} {}", snapshot.version(), short(snapshot.hash())),
            },
            notes: OnceLock::new(),
            shown: shown.collect(),
            names: Names::of(&tables),
            open: AtomicUsize::new(0),
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
        declared: BTreeMap<String, Releasable>,
    ) -> Result<SessionContext> {
        let Some(gate) = ctx.state().config().get_extension::<Gate>() else {
            return Err(Error::refused(
                "session",
                "this session was not made for a principal".to_owned(),
                "make it with `columna_query::session`".to_owned(),
            ));
        };
        gate.names.learn(&ctx.state());
        if !gate.restricts() {
            return Ok(ctx);
        }
        let state = SessionStateBuilder::new_from_existing(ctx.state())
            .with_config(fixed_catalogue(&ctx))
            .build();
        let ctx = SessionContext::new_with_state(state);
        let teller = Arc::clone(&gate);
        let (ctx, notes) = restrict(
            &ctx,
            Restriction {
                policy: &self.policy,
                principal: &self.principal,
                tables: &Table::all(snapshot),
                store: snapshot.first(),
                snapshot: snapshot.first_with_rows(),
                state: &self.state,
                declared,
                epsilon: self.epsilon.as_deref(),
                on_release: Some(Arc::new(move |withheld| {
                    teller.note(Event::Withheld {
                        groups: withheld.groups,
                        numbers: withheld.numbers,
                    });
                })),
            },
        )?;
        if let Some(notes) = notes {
            // A session has one gate, which is told its notes once.
            let _ = gate.notes.set(notes);
        }
        let planner = Arc::clone(ctx.state().query_planner());
        let state = SessionStateBuilder::new_from_existing(ctx.state())
            .with_query_planner(Arc::new(QuietPlanner::new(planner)))
            .build();
        Ok(SessionContext::new_with_state(state))
    }
}

/// The session's settings, with the catalogue that is there already.
fn fixed_catalogue(ctx: &SessionContext) -> SessionConfig {
    ctx.copied_config()
        .with_create_default_catalog_and_schema(false)
}

fn short(hash: &str) -> &str {
    hash.get(..16).unwrap_or(hash)
}

impl Gate {
    /// The kind of the principal's role.
    #[must_use]
    pub fn kind(&self) -> RoleKind {
        self.kind
    }

    /// The name of the principal's role.
    #[must_use]
    pub fn role(&self) -> &str {
        &self.subject.principal.role
    }

    /// Whether the session shows less than everything.
    #[must_use]
    pub fn restricts(&self) -> bool {
        self.kind != RoleKind::Steward
    }

    /// How a column is shown, as policies write it; none where it is not seen.
    #[must_use]
    pub fn shown(&self, table: &str, column: &str) -> Option<&str> {
        let rule = self.shown.get(table)?.get(column)?.as_str();
        let numbers = matches!(self.kind, RoleKind::Aggregate | RoleKind::Dp) && rule == "raw";
        Some(if numbers { "numbers" } else { rule })
    }

    /// What the principal is told beside its answers, since the last time.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        self.notes
            .get()
            .map(|notes| notes.take())
            .unwrap_or_default()
    }

    /// Lets a statement in, or refuses it; both are on record before this returns. `statement` is its text without
    /// values. Who lets one in says how it ended, by [`Gate::ended`] or [`Gate::broken_off`].
    ///
    /// # Errors
    /// A refusal, or the audit log can't be written.
    pub fn admit(&self, statement: &str, plan: &LogicalPlan) -> EngineResult<()> {
        let admitted = match self.in_force() {
            Ok(()) if self.restricts() => allowed(plan),
            in_force => in_force.map_err(DataFusionError::from),
        };
        match admitted {
            Ok(()) => {
                self.record(Event::Asked, statement)?;
                self.open.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            Err(error) => {
                let code = Refusal::within(&error).map_or("error", |refusal| refusal.code);
                self.record(Event::Refused(code.to_owned()), &self.names.only(statement))?;
                Err(error)
            }
        }
    }

    /// A session lasts as long as its policy: who took a right away must not wait for open sessions to end.
    fn in_force(&self) -> Result<(), Refusal> {
        if self.policy.is_in_force() {
            return Ok(());
        }
        Err(Refusal::new(
            "policy",
            "the policy was changed, moved or removed since this session began",
            "begin a new session, which is under the policy as it is now",
        ))
    }

    /// Puts on record that a statement could not be planned. Nothing says that what it names are names, and no values in the
    /// wrong quotes: those that the store and the engine have are kept.
    ///
    /// # Errors
    /// When the audit log can't be written.
    pub fn reject(&self, statement: &str, error: &DataFusionError) -> EngineResult<()> {
        let code = Refusal::within(error).map_or("plan", |refusal| refusal.code);
        Ok(self.record(Event::Refused(code.to_owned()), &self.names.only(statement))?)
    }

    /// Puts on record that a command of the shell, `command`, was refused, and gives the refusal back.
    ///
    /// # Errors
    /// The refusal, or the audit log can't be written.
    pub fn turn_away(&self, command: &str, refusal: Refusal) -> Result<()> {
        self.record(Event::Refused(refusal.code.to_owned()), command)?;
        Err(refusal.into())
    }

    /// Puts on record that a statement or command of the shell made no sense.
    ///
    /// # Errors
    /// When the audit log can't be written.
    pub fn not_understood(&self, what: &str) -> Result<()> {
        self.record(Event::Refused("plan".to_owned()), what)
    }

    /// Puts on record that a command of the shell, `command`, is answered: before it is.
    ///
    /// # Errors
    /// When the session is no longer under its policy, or the audit log can't be written.
    pub fn answers(&self, command: &str) -> Result<()> {
        if let Err(refusal) = self.in_force() {
            return self.turn_away(command, refusal);
        }
        self.record(Event::Asked, command)?;
        self.record(Event::Answered, "")
    }

    /// Puts on record how a statement that was let in ended, unless none was.
    ///
    /// # Errors
    /// When the audit log can't be written.
    pub fn ended(&self, error: Option<&DataFusionError>) -> Result<()> {
        self.end(match error {
            None => Event::Answered,
            Some(error) => match Refusal::within(error) {
                Some(refusal) => Event::Refused(refusal.code.to_owned()),
                None => Event::Failed,
            },
        })
    }

    /// Puts on record that a statement that was let in, if one was, ended before all of its answer was given: by Ctrl-C, or
    /// because nobody could take it.
    ///
    /// # Errors
    /// When the audit log can't be written.
    pub fn broken_off(&self) -> Result<()> {
        self.end(Event::Failed)
    }

    fn end(&self, event: Event) -> Result<()> {
        let fewer = |open: usize| open.checked_sub(1);
        let is_open = self
            .open
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fewer);
        match is_open {
            Ok(_) => self.record(event, ""),
            Err(_) => Ok(()),
        }
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
