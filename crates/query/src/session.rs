//! THE session factory: the same configuration, catalogue and functions wherever SQL runs.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use columna_privacy::guard::persons_together;
use columna_privacy::policy::RoleKind;
use columna_privacy::{Access, Gate, Refusal};
use columna_store::scan::SnapshotTable;
use columna_store::{Snapshot, Store};
use datafusion::catalog::TableProvider;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::planner::ExprPlanner;
use datafusion::optimizer::analyzer::Analyzer;
use datafusion::prelude::{SessionConfig, SessionContext};

use crate::csv_nulls::CsvTables;
use crate::function_rewrites::{FunctionRewrites, Rewrite};
use crate::functions::{aggregate, scalar, table};
use crate::spill::SpillFolder;
use crate::unnested::optimizer_rules;
use crate::untold_limit::UntoldLimit;
use crate::vocabulary::Vocabulary;
use crate::{Error, Result};

/// The catalogue and schema that unqualified tables are looked up in.
pub(crate) const CATALOG: &str = "columna";
pub(crate) const SCHEMA: &str = "public";

/// How many operators an error about memory names.
const CONSUMERS_NAMED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(4);

/// What a session is made from.
#[derive(Debug, Clone, Default)]
pub struct SessionOptions {
    /// The store whose tables are queried; without one the session starts with no table.
    pub store: Option<Store>,
    /// The version of the snapshot; the newest if not given.
    pub snapshot: Option<u64>,
    /// Bytes that sorts, aggregates and joins may hold together before they spill; unlimited if not given.
    pub memory_limit: Option<usize>,
    /// Threads that a query may keep busy; all cores if not given.
    pub threads: Option<usize>,
    /// Who asks, under which policy; everything is open if not given.
    pub access: Option<Access>,
    /// On a cluster, regressions of at least this many rows are fitted by passes over the executors, one query for each
    /// Newton step, and their rows stay there; ten million if not given.
    pub passes_from: Option<u64>,
    /// Where to spill; the system's folder for temporary files if not given.
    pub temp_dir: Option<PathBuf>,
}

/// Makes a session: the tables of a snapshot under the default schema, Columna's functions, and the settings
/// under which per-patient work needs no shuffle.
///
/// # Errors
///
/// When the snapshot can't be read, or there is no place to spill to.
pub async fn session(options: SessionOptions) -> Result<SessionContext> {
    let asked = options.memory_limit;
    let limit = match &options.access {
        Some(access) => access.memory(asked)?,
        None => asked,
    };
    let spill = Arc::new(SpillFolder::new(options.temp_dir.as_deref())?);
    let disk = DiskManagerBuilder::default().with_mode(DiskManagerMode::Directories(vec![
        spill.path().to_path_buf(),
    ]));
    let mut runtime = RuntimeEnvBuilder::new().with_disk_manager_builder(disk);
    if let Some(bytes) = limit {
        // Fair: with one partition per bucket group, the first operator to ask must not starve the rest.
        let pool = TrackConsumersPool::new(FairSpillPool::new(bytes), CONSUMERS_NAMED);
        runtime = runtime.with_memory_pool(if limit == asked {
            Arc::new(pool)
        } else {
            Arc::new(UntoldLimit(pool))
        });
    }
    let snapshot = match &options.store {
        Some(store) => Some(store.snapshot(options.snapshot).await?),
        None => None,
    };
    let access = match (&options.access, &snapshot) {
        (Some(access), Some(snapshot)) => Some((access, snapshot)),
        (Some(_), None) => return Err(Error::NoStore),
        (None, _) => None,
    };
    let mut config = config(&options).with_extension(spill);
    if let Some((access, snapshot)) = access {
        config = access.configure(snapshot, persons_together(config))?;
    }
    let vocabulary = Vocabulary::default();
    let mut rewrites: Vec<Rewrite> = vec![
        Arc::new(scalar::FieldsOfStructs),
        Arc::new(scalar::LengthOfLists),
        Arc::new(crate::day_frames::DayFrames),
        Arc::new(crate::short_times::ShortTimes),
        Arc::new(crate::far_times::FarTimes),
        Arc::new(scalar::ComparedIntervals),
        Arc::new(scalar::PartsOfDifferences),
        Arc::new(scalar::CastsOutOfOrder),
        Arc::new(scalar::RoundedCasts),
        Arc::new(scalar::DaysAndNumbers),
    ];
    // Roles that see groups only have total expressions, whose texts are bounded.
    let sees_rows = |access: &Access| Ok::<_, Error>(access.kind()? == RoleKind::Analyst);
    if options.access.as_ref().map_or(Ok(false), sees_rows)? {
        let joins = scalar::BoundedJoins::of(scalar::bounded(true));
        rewrites.extend(joins.map(|joins| Arc::new(joins) as Rewrite));
        rewrites.push(Arc::new(scalar::BoundedLists::default()));
    }
    let mut analyzer = Analyzer::new().rules;
    analyzer.insert(0, Arc::new(FunctionRewrites(rewrites)));
    analyzer.insert(0, Arc::new(crate::far_times::FarUnions));
    analyzer.insert(0, Arc::new(scalar::DaysAndNumbers));
    // Before the engine's, which are asked in their order.
    let planners: Vec<Arc<dyn ExprPlanner>> = vec![
        Arc::new(scalar::MultipliedIntervals),
        Arc::new(scalar::SlicesOfTexts),
        Arc::new(crate::quotients::Quotients),
    ];
    let state = SessionStateBuilder::new()
        .with_config(config)
        .with_expr_planners(planners)
        .with_runtime_env(runtime.build_arc()?)
        .with_default_features()
        .with_analyzer_rules(analyzer)
        .with_optimizer_rules(optimizer_rules(&vocabulary))
        .with_physical_optimizer_rules(crate::plan::rules())
        .with_table_factory("CSV".to_owned(), Arc::new(CsvTables::default()))
        .build();
    let ctx = SessionContext::new_with_state(state);
    register(&ctx, &vocabulary);
    ctx.add_analyzer_rule(Arc::new(crate::correlated::OuterTypes));
    // Roles that see groups only have no such subqueries, and are told so.
    let of_groups = |access: &Access| {
        let kind = access.kind()?;
        Ok::<_, Error>(matches!(kind, RoleKind::Aggregate | RoleKind::Dp))
    };
    if !options.access.as_ref().map_or(Ok(false), of_groups)? {
        ctx.add_analyzer_rule(Arc::new(crate::subquery_keys::SubqueryKeys));
        ctx.add_analyzer_rule(Arc::new(crate::single_rows::SingleRows));
    }
    ctx.add_analyzer_rule(Arc::new(crate::correlated::NamesOfTheirOwn));
    ctx.register_relation_planner(Arc::new(crate::unnested::UnnestedRelations))?;
    for function in table::functions(&vocabulary) {
        ctx.register_udtf(function.name, function.function);
    }
    if let (Some(store), Some(snapshot)) = (&options.store, &snapshot) {
        let tables = match access {
            Some((access, _)) => access.tables(store, snapshot)?,
            None => SnapshotTable::all(store, snapshot)
                .into_iter()
                .map(|(name, table)| (name, Arc::new(table) as Arc<dyn TableProvider>))
                .collect(),
        };
        for (name, provider) in tables {
            ctx.register_table(datafusion::common::TableReference::bare(name), provider)?;
        }
    }
    vocabulary.attach(&ctx);
    Ok(match access {
        Some((access, snapshot)) => {
            if let Some(store) = &options.store {
                only_the_newest(access, &ctx, store, snapshot).await?;
            }
            access.protect(ctx, snapshot, aggregate::disclosures())?
        }
        None => ctx,
    })
}

/// Refuses rows that the store no longer has to a role of numbers about groups: whoever could choose among snapshots would
/// subtract what was added, or erased, between two of them.
async fn only_the_newest(
    access: &Access,
    ctx: &SessionContext,
    store: &Store,
    asked: &Snapshot,
) -> Result<()> {
    if access.kind()? != RoleKind::Aggregate {
        return Ok(());
    }
    let newest = store.snapshot(None).await?;
    if newest.first_with_rows() == asked.first_with_rows() {
        return Ok(());
    }
    let refusal = Refusal::new(
        "snapshot",
        "this role asks about the newest rows of the store, and these are older",
        "leave `--snapshot` out",
    );
    match ctx.state().config().get_extension::<Gate>() {
        Some(gate) => gate.turn_away("", refusal)?,
        None => return Err(columna_privacy::Error::from(refusal).into()),
    }
    Ok(())
}

/// What a process needs that plans or runs parts of other sessions' queries: Columna's functions, and no table.
#[must_use]
pub fn worker_state(config: SessionConfig, runtime: Arc<RuntimeEnv>) -> SessionState {
    let vocabulary = Vocabulary::default();
    let state = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(runtime)
        .with_default_features()
        .with_optimizer_rules(optimizer_rules(&vocabulary))
        .with_physical_optimizer_rules(crate::plan::engine_rules().collect())
        .build();
    let ctx = SessionContext::new_with_state(state);
    register(&ctx, &vocabulary);
    ctx.state()
}

fn register(ctx: &SessionContext, vocabulary: &Vocabulary) {
    for function in scalar::functions(vocabulary) {
        ctx.register_udf(Arc::unwrap_or_clone(function));
    }
    ctx.register_udf(Arc::unwrap_or_clone(scalar::date_part()));
    for internal in [
        crate::missing_rows::maybe(),
        crate::single_rows::one_row(),
        crate::struct_keys::record_bytes(),
        crate::plan::unknown(),
        scalar::day_of_time(),
        scalar::date_trunc().as_ref().clone(),
        scalar::field_of(),
        scalar::interval_length(),
        scalar::interval_times(),
        scalar::moved_time(),
        scalar::out_of_order(),
        scalar::regexp_extract(),
        scalar::coalesce(),
        scalar::round(),
        scalar::round_to_even(),
    ] {
        ctx.register_udf(internal);
    }
    for function in scalar::of_repeated_values().chain(scalar::of_any_range()) {
        ctx.register_udf(function);
    }
    let gate = ctx.state_ref().read().config().get_extension::<Gate>();
    for function in scalar::bounded(gate.is_some_and(|gate| gate.restricts())) {
        ctx.register_udf(function);
    }
    for function in aggregate::functions() {
        ctx.register_udaf(Arc::unwrap_or_clone(function));
    }
    for function in aggregate::replaced().chain(aggregate::answering()) {
        ctx.register_udaf(function);
    }
    for internal in [aggregate::cox_together(), aggregate::count_values()] {
        ctx.register_udaf(Arc::unwrap_or_clone(internal));
    }
}

fn config(options: &SessionOptions) -> SessionConfig {
    let mut config = SessionConfig::new()
        .with_default_catalog_and_schema(CATALOG, SCHEMA)
        .with_information_schema(true);
    if let Some(threads) = options.threads {
        config = config.with_target_partitions(threads.max(1));
    }
    if let Some(limit) = options.memory_limit {
        let rows = (limit / LIMIT_PER_BATCH_ROW).clamp(LEAST_BATCH_ROWS, config.batch_size());
        let merge =
            (limit / MERGES_PER_LIMIT).min(config.options().execution.sort_spill_reservation_bytes);
        config = config
            .with_batch_size(rows)
            .with_sort_spill_reservation_bytes(merge);
    }
    let options = config.options_mut();
    // UNION ALL of co-located tables keeps its inputs as they are: interleaving them is not implemented
    // for range partitioning.
    options.optimizer.prefer_existing_union = true;
    // Merging sorted partitions beats sorting again, which a window over all persons would do.
    options.optimizer.prefer_existing_sort = true;
    // Keeps co-located partitions where there are fewer of them than threads.
    options.optimizer.preserve_file_partitions = 1;
    // GROUP BY person_id and more: persons are already together, so nothing has to move.
    options.optimizer.subset_repartition_threshold = 1;
    // Where every second row is a group of its own, groups are made once, when their rows have come together.
    options
        .execution
        .skip_partial_aggregation_probe_ratio_threshold = 0.5;
    // A rule that learns that a column has no NULLs leaves the union above it as it was, which is no fault.
    options.execution.skip_physical_aggregate_schema_check = true;
    options.execution.parquet.pushdown_filters = PUSHDOWN_FILTERS;
    // As in DuckDB, in either direction; what a role is not shown is then not what is listed first.
    options.sql_parser.default_null_ordering = "nulls_last".to_owned();
    config
}

/// A sort that has spilled holds a batch of every run that it merges, so batches shrink with the memory they share:
/// below 1 GB here. Under 200 MB, 5.5 million measurements are sorted with batches of 1,600 rows and not with 8,192.
const LIMIT_PER_BATCH_ROW: usize = 128 * 1024;
const LEAST_BATCH_ROWS: usize = 512;
/// Each bucket's sort sets memory aside for its merge; the stock 10 MB would leave nothing to sort in.
const MERGES_PER_LIMIT: usize = 64;

/// Whether Parquet's decoder filters rows, or the filter above it alone; row groups and pages are left out
/// either way. It helps where few rows pass and hurts where many do. This is the engine's own default; a
/// session sets `datafusion.execution.parquet.pushdown_filters` to differ.
const PUSHDOWN_FILTERS: bool = false;
