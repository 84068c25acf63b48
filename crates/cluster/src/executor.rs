//! An executor: asks the scheduler for work, runs it, and serves what came out to others.

use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arrow_flight::flight_service_server::FlightServiceServer;
use ballista_core::config::TaskSchedulingPolicy;
use ballista_core::error::BallistaError;
use ballista_core::extension::SessionConfigExt;
use ballista_core::registry::BallistaFunctionRegistry;
use ballista_core::utils::create_grpc_server;
use ballista_executor::ArrowFlightServerProvider;
use ballista_executor::execution_engine::DefaultExecutionEngine;
use ballista_executor::executor_process::{ExecutorProcessConfig, start_executor_process};
use ballista_executor::flight_service::BallistaFlightService;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::prelude::SessionConfig;
use tonic::service::interceptor::InterceptedService;

use crate::codec::PlanCodec;
use crate::connections::Connections;
use crate::parts::{Parts, WatchedEngine};
use crate::scheduler::{MESSAGE_BYTES, tls_failed};
use crate::session::Scheduler;
use crate::{Error, Result, Stores, Trust};

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
    let port = free_port(bind)?;
    let host = bind.ip().to_string();
    let state = columna_query::worker_state(SessionConfig::new(), Arc::new(RuntimeEnv::default()));
    let endpoint = options.trust.endpoint();
    let produced = Arc::clone(&endpoint);
    let (stores, spill) = (options.stores.clone(), folder.path().to_path_buf());
    let parts = Arc::new(Parts::default());
    let engine = WatchedEngine {
        inner: DefaultExecutionEngine::with_client_pool(Arc::new(Connections::default())),
        parts: Arc::clone(&parts),
    };
    let there = scheduler.clone();
    let config = ExecutorProcessConfig {
        override_execution_engine: Some(Arc::new(engine)),
        bind_host: host.clone(),
        external_host: Some(host),
        port,
        scheduler_host: scheduler.host,
        scheduler_port: scheduler.port,
        vcores: options.vcores,
        // The scheduler never calls an executor: only what it is asked for leaves it.
        task_scheduling_policy: TaskSchedulingPolicy::PullStaged,
        work_dir: Some(folder.path().display().to_string()),
        grpc_max_decoding_message_size: MESSAGE_BYTES,
        grpc_max_encoding_message_size: MESSAGE_BYTES,
        memory_pool_size: options.memory_limit.map(|bytes| bytes as u64),
        override_physical_codec: Some(Arc::new(PlanCodec::new(
            &options.stores,
            Arc::new(state.clone()),
        ))),
        override_function_registry: Some(Arc::new(BallistaFunctionRegistry::from(&state))),
        override_runtime_producer: Some(Arc::new(move |_| {
            let runtime = RuntimeEnvBuilder::new()
                .with_temp_file_path(&spill)
                .build()?;
            stores.register(&runtime)?;
            Ok(Arc::new(runtime))
        })),
        override_config_producer: Some(Arc::new(move || {
            SessionConfig::new_with_ballista()
                .with_ballista_override_create_grpc_client_endpoint(Arc::clone(&produced))
        })),
        override_arrow_flight_service: Some(flight(options.trust)),
        override_create_grpc_client_endpoint: Some(endpoint),
        ..ExecutorProcessConfig::default()
    };
    tell(ExecutorEvent::Works(SocketAddr::new(bind.ip(), port)));
    let id = config.executor_id.clone();
    tokio::select! {
        ended = start_executor_process(Arc::new(config)) => Ok(ended?),
        () = parts.report(there, id) => Ok(()),
        () = stop => Ok(()),
    }
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

/// The port, or one that is free now: Ballista wants to know it before it binds.
fn free_port(address: SocketAddr) -> Result<u16> {
    std::net::TcpListener::bind(address)
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|source| Error::Listen { address, source })
}

/// Serves shuffle files and results to those who carry the token.
fn flight(trust: Trust) -> Arc<ArrowFlightServerProvider> {
    Arc::new(move |work_dir, address, mut shutdown, config| {
        let trust = trust.clone();
        tokio::spawn(async move {
            let service = FlightServiceServer::new(BallistaFlightService::new(work_dir))
                .max_decoding_message_size(MESSAGE_BYTES as usize)
                .max_encoding_message_size(MESSAGE_BYTES as usize);
            let mut server = create_grpc_server(&config);
            if let Some(tls) = trust.server() {
                server = server
                    .tls_config(tls)
                    .map_err(|error| BallistaError::General(tls_failed(&error).to_string()))?;
            }
            server
                .add_service(InterceptedService::new(service, move |request| {
                    trust.check(request)
                }))
                .serve_with_shutdown(address, shutdown.recv())
                .await
                .map_err(BallistaError::TonicError)
        })
    })
}
