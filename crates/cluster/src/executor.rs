//! An executor: asks the scheduler for work, runs it, and serves what came out to others.

use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arrow_flight::flight_service_server::FlightServiceServer;
use ballista_core::error::BallistaError;
use ballista_core::extension::SessionConfigExt;
use ballista_core::registry::BallistaFunctionRegistry;
use ballista_core::serde::protobuf::ExecutorStoppedParams;
use ballista_core::serde::protobuf::scheduler_grpc_client::SchedulerGrpcClient;
use ballista_core::serde::{BallistaCodec, BallistaLogicalExtensionCodec};
use ballista_core::utils::{GrpcServerConfig, create_grpc_server};
use ballista_core::{ConfigProducer, RuntimeProducer};
use ballista_executor::execution_engine::DefaultExecutionEngine;
use ballista_executor::execution_loop::poll_loop;
use ballista_executor::executor::{Executor, TasksDrainedFuture};
use ballista_executor::executor_process::{ExecutorProcessConfig, structure_executor_metadata};
use ballista_executor::flight_service::BallistaFlightService;
use ballista_executor::health::ExecutorHealth;
use ballista_executor::metrics::LoggingMetricsCollector;
use ballista_executor::runtime_cache::{DefaultSessionRuntimeCache, MemoryPoolPolicy};
use ballista_executor::terminate::sig_term;
use datafusion::common::runtime::SpawnedTask;
use datafusion::execution::SessionState;
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::prelude::SessionConfig;
use sysinfo::System;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinError;
use tokio::time::timeout;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::transport::server::TcpIncoming;

use crate::codec::PlanCodec;
use crate::connections::Connections;
use crate::parts::{Parts, WatchedEngine};
use crate::pieces::Pieces;
use crate::scheduler::{MESSAGE_BYTES, tls_failed};
use crate::session::Scheduler;
use crate::trust::PATIENCE;
use crate::{Error, Result, Stores, Trust};

/// Sessions whose footers of files are remembered.
const SESSIONS: usize = 16;
/// How long an executor waits for its scheduler when it starts: as long as somebody needs to start that one.
const CONNECT: Duration = Duration::from_secs(600);
/// After this it is said that it waits.
const SOON: Duration = Duration::from_secs(2);

/// What an executor is started with.
#[derive(Debug)]
pub struct ExecutorOptions {
    /// Where the scheduler listens: `HOST:PORT`.
    pub scheduler: String,
    /// Where others fetch what came out; port 0 takes any that is free. None takes the address of this machine under
    /// which the scheduler sees it.
    pub bind: Option<SocketAddr>,
    /// The stores that parts of queries read: the same addresses as the scheduler's.
    pub stores: Stores,
    /// What the scheduler asks for, and what others must carry that fetch from here.
    pub trust: Trust,
    /// Where shuffle and spill files go. They are patients' rows: the folder is made private.
    pub work_dir: PathBuf,
    /// Parts of queries that run at once.
    pub vcores: usize,
    /// Bytes that they may hold together before they spill; most of the machine's memory if not given.
    pub memory_limit: Option<usize>,
}

/// What an executor tells of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExecutorEvent {
    /// No scheduler answers yet.
    Waits,
    /// It serves what came out of it at this address, and asks for work.
    Works(SocketAddr),
}

/// Works until `stop` is done or the process is told to stop, and leaves no shuffle file behind then. A scheduler that
/// is not there yet is waited for.
///
/// # Errors
/// When the scheduler refuses or doesn't answer for ten minutes, or the folder can't be used.
pub async fn run_executor(
    options: ExecutorOptions,
    tell: impl Fn(ExecutorEvent),
    stop: impl Future<Output = ()>,
) -> Result<()> {
    tokio::pin!(stop);
    options.stores.may_be_served(&options.trust)?;
    if let Some(address) = options.bind {
        options.trust.may_serve(address)?;
        if address.ip().is_unspecified() {
            return Err(Error::Unspecified { address });
        }
    }
    let scheduler = Scheduler::new(&format!("df://{}", options.scheduler), &options.trust)?;
    // It is seen at once whether the folder can be used; an executor that is killed while it waits leaves none.
    drop(private_folder(&options.work_dir)?);
    match scheduler.wait(SOON).await {
        Err(Error::Unreachable { .. }) => {
            tell(ExecutorEvent::Waits);
            tokio::select! {
                there = scheduler.wait(CONNECT) => there?,
                () = &mut stop => return Ok(()),
            }
        }
        there => there?,
    }
    let folder = private_folder(&options.work_dir)?;
    let bind = match options.bind {
        Some(address) => address,
        None => towards(&scheduler)?,
    };
    options.trust.may_serve(bind)?;
    let listen = |source| Error::Listen {
        address: bind,
        source,
    };
    let listener = TcpListener::bind(bind).await.map_err(listen)?;
    let address = listener.local_addr().map_err(listen)?;
    let parts = Arc::new(Parts::default());
    let executor = Arc::new(executor(&options, address, folder.path(), &parts));
    let id = executor.metadata.id.clone();
    let client = SchedulerGrpcClient::new(scheduler.channel().await?)
        .max_encoding_message_size(MESSAGE_BYTES as usize)
        .max_decoding_message_size(MESSAGE_BYTES as usize);
    let news = Arc::new(Notify::new());
    // The scheduler never calls an executor: only what it is asked for leaves it. Both tasks end when they are dropped.
    let mut works = SpawnedTask::spawn(poll_loop(
        client.clone(),
        Arc::clone(&executor),
        codec(&options.stores),
        Some(Arc::clone(&news)),
        None,
        ExecutorHealth::new(),
    ));
    let mut serves = SpawnedTask::spawn(serve(
        options.trust,
        listener,
        folder.path().display().to_string(),
    ));
    tell(ExecutorEvent::Works(address));
    tokio::select! {
        ended = &mut works => Ok(ended.map_err(|error| broke_down(&error))??),
        ended = &mut serves => Ok(ended.map_err(|error| broke_down(&error))??),
        () = parts.report(scheduler, id.clone()) => Ok(()),
        () = parts.ask_soon(&news) => Ok(()),
        () = told_to_stop() => {
            leave(client, id).await;
            TasksDrainedFuture(executor).await;
            Ok(())
        }
        () = stop => Ok(()),
    }
}

/// Ballista's executor: what runs parts of queries.
fn executor(
    options: &ExecutorOptions,
    address: SocketAddr,
    folder: &Path,
    parts: &Arc<Parts>,
) -> Executor {
    let endpoint = options.trust.endpoint();
    let config: ConfigProducer = Arc::new(move || {
        SessionConfig::new_with_ballista()
            .with_ballista_override_create_grpc_client_endpoint(Arc::clone(&endpoint))
    });
    let (stores, spill) = (options.stores.clone(), folder.to_path_buf());
    let runtime: RuntimeProducer = Arc::new(move |_| {
        let runtime = RuntimeEnvBuilder::new()
            .with_temp_file_path(&spill)
            .build()?;
        stores.register(&runtime)?;
        Ok(Arc::new(runtime))
    });
    let engine = WatchedEngine {
        inner: DefaultExecutionEngine::with_client_pool(Arc::new(Connections::default())),
        parts: Arc::clone(parts),
    };
    let named = Arc::new(ExecutorProcessConfig {
        external_host: Some(address.ip().to_string()),
        port: address.port(),
        ..ExecutorProcessConfig::default()
    });
    let registration =
        structure_executor_metadata(&named, u32::try_from(options.vcores).unwrap_or(u32::MAX));
    let runtimes = DefaultSessionRuntimeCache::new(
        Arc::clone(&runtime),
        memory_of_parts(options.memory_limit, options.vcores),
        SESSIONS,
    );
    Executor::new(
        registration,
        &folder.display().to_string(),
        runtime,
        config,
        Arc::new(BallistaFunctionRegistry::from(&functions())),
        Arc::new(LoggingMetricsCollector::default()),
        options.vcores,
        Arc::new(engine),
    )
    .with_session_runtime_cache(Some(Arc::new(runtimes)))
}

fn functions() -> SessionState {
    columna_query::worker_state(SessionConfig::new(), Arc::new(RuntimeEnv::default()))
}

fn codec(stores: &Stores) -> BallistaCodec {
    BallistaCodec::new(
        Arc::new(BallistaLogicalExtensionCodec::default()),
        Arc::new(PlanCodec::new(stores, Arc::new(functions()))),
    )
}

/// A share of the memory for each part that runs at once.
fn memory_of_parts(limit: Option<usize>, vcores: usize) -> MemoryPoolPolicy {
    let share = limit.or_else(most_of_the_memory).unwrap_or(usize::MAX) / vcores.max(1);
    Arc::new(move |runtime: Arc<RuntimeEnv>, _: &SessionConfig, vcores| {
        let size = share.saturating_mul(usize::try_from(vcores.max(1)).unwrap_or(1));
        RuntimeEnvBuilder::from_runtime_env(&runtime)
            .with_memory_pool(Arc::new(FairSpillPool::new(size)))
            .build_arc()
    })
}

/// Seven tenths of what this machine, or the container that it is, has.
fn most_of_the_memory() -> Option<usize> {
    let mut system = System::new();
    system.refresh_memory();
    let machine = system.total_memory();
    let container = system.cgroup_limits().map(|limits| limits.total_memory);
    let bytes = container.map_or(machine, |container| container.min(machine)) / 10 * 7;
    usize::try_from(bytes).ok().filter(|bytes| *bytes > 0)
}

/// Ctrl-C, or a request to end.
async fn told_to_stop() {
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = sig_term() => {}
    }
}

/// Tells the scheduler not to count on this executor any more. It finds out by itself where this fails.
async fn leave(mut scheduler: SchedulerGrpcClient<Channel>, executor_id: String) {
    let leaving = ExecutorStoppedParams {
        executor_id,
        reason: "told to stop".to_owned(),
    };
    let _ = timeout(PATIENCE, scheduler.executor_stopped(leaving)).await;
}

fn broke_down(error: &JoinError) -> BallistaError {
    BallistaError::General(format!("a part of the executor broke down: {error}"))
}

/// A folder inside the given one that only this user can read, removed at the end.
fn private_folder(parent: &PathBuf) -> Result<tempfile::TempDir> {
    let failed = |source| Error::WorkDir {
        folder: parent.clone(),
        source,
    };
    std::fs::create_dir_all(parent).map_err(failed)?;
    let mut builder = tempfile::Builder::new();
    builder.prefix("columna-executor-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o700));
    }
    builder.tempdir_in(parent).map_err(failed)
}

/// The address of this machine on the way to the scheduler.
fn towards(scheduler: &Scheduler) -> Result<SocketAddr> {
    let host = scheduler.host.trim_matches(['[', ']']);
    TcpStream::connect((host, scheduler.port))
        .and_then(|stream| stream.local_addr())
        .map(|address| SocketAddr::new(address.ip(), 0))
        .map_err(|_| Error::Unreachable {
            url: scheduler.url.clone(),
        })
}

/// Serves shuffle files and results to those who carry the token.
async fn serve(
    trust: Trust,
    listener: TcpListener,
    folder: String,
) -> std::result::Result<(), BallistaError> {
    let service = FlightServiceServer::new(Pieces(BallistaFlightService::new(folder)))
        .max_decoding_message_size(MESSAGE_BYTES as usize)
        .max_encoding_message_size(MESSAGE_BYTES as usize);
    let mut server = create_grpc_server(&GrpcServerConfig::default());
    if let Some(tls) = trust.server() {
        server = server
            .tls_config(tls)
            .map_err(|error| BallistaError::General(tls_failed(&error).to_string()))?;
    }
    server
        .add_service(InterceptedService::new(service, move |request| {
            trust.check(request)
        }))
        .serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true)))
        .await
        .map_err(BallistaError::TonicError)
}
