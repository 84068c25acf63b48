//! The scheduler: plans what clients ask and hands its parts to executors.

use std::net::SocketAddr;
use std::sync::Arc;

use arrow_flight::flight_service_server::FlightServiceServer;
use ballista_core::config::TaskSchedulingPolicy;
use ballista_core::error::BallistaError;
use ballista_core::extension::SessionConfigExt;
use ballista_core::serde::protobuf::scheduler_grpc_server::SchedulerGrpcServer;
use ballista_scheduler::cluster::BallistaCluster;
use ballista_scheduler::config::SchedulerConfig;
use ballista_scheduler::scheduler_process::create_scheduler;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::prelude::SessionConfig;
use datafusion_proto::protobuf::{LogicalPlanNode, PhysicalPlanNode};
use tokio::net::TcpListener;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use crate::codec::{Codec, PlanCodec};
use crate::constants::Constants;
use crate::status::StatusService;
use crate::{Error, Result, Stores, Trust};

/// Seconds after which an executor that said nothing is taken for dead. Executors ask for work many times a second, and
/// report what they work on every second.
const SILENCE: u64 = 5;
/// Bytes of the largest message: plans with long lists of concepts are large.
pub(crate) const MESSAGE_BYTES: u32 = 64 << 20;

/// What a scheduler is started with.
#[derive(Debug)]
pub struct SchedulerOptions {
    /// Where it listens; port 0 takes any that is free.
    pub bind: SocketAddr,
    /// The stores whose tables clients may name.
    pub stores: Stores,
    /// What executors and clients must carry.
    pub trust: Trust,
}

/// Serves until `stop` is done. `listening` is told the address once executors and clients can connect.
///
/// # Errors
/// When the address is not loopback or taken, or Ballista refuses.
pub async fn serve_scheduler(
    options: SchedulerOptions,
    listening: impl FnOnce(SocketAddr),
    stop: impl Future<Output = ()>,
) -> Result<()> {
    options.trust.may_serve(options.bind)?;
    options.stores.may_be_served(&options.trust)?;
    let listen = |source| Error::Listen {
        address: options.bind,
        source,
    };
    let listener = TcpListener::bind(options.bind).await.map_err(listen)?;
    let address = listener.local_addr().map_err(listen)?;

    let runtime = Arc::new(RuntimeEnv::default());
    options.stores.register(&runtime)?;
    let functions = Arc::new(columna_query::worker_state(
        SessionConfig::new(),
        Arc::clone(&runtime),
    ));
    let endpoint = options.trust.endpoint();
    let produced = Arc::clone(&endpoint);
    let config = Arc::new(SchedulerConfig {
        external_host: address.ip().to_string(),
        bind_host: address.ip().to_string(),
        bind_port: address.port(),
        scheduling_policy: TaskSchedulingPolicy::PullStaged,
        executor_timeout_seconds: SILENCE,
        expire_dead_executor_interval_seconds: 1,
        no_executors_grace_period_seconds: 2 * SILENCE,
        grpc_server_max_decoding_message_size: MESSAGE_BYTES,
        grpc_server_max_encoding_message_size: MESSAGE_BYTES,
        grpc_client_max_message_size: MESSAGE_BYTES,
        override_physical_codec: Some(Arc::new(PlanCodec::new(
            &options.stores,
            Arc::clone(&functions) as _,
        ))),
        override_logical_codec: Some(Arc::new(Codec::serving(options.stores, functions))),
        override_create_grpc_client_endpoint: Some(endpoint),
        override_config_producer: Some(Arc::new(move || {
            SessionConfig::new_with_ballista()
                .with_ballista_override_create_grpc_client_endpoint(Arc::clone(&produced))
        })),
        override_session_builder: Some(Arc::new(move |config| {
            let state = columna_query::worker_state(config, Arc::clone(&runtime));
            Ok(SessionStateBuilder::new_from_existing(state)
                .with_physical_optimizer_rule(Arc::new(Constants))
                .build())
        })),
        ..SchedulerConfig::default()
    });
    let cluster = BallistaCluster::new_from_config(&config).await?;
    let (executors, ended) = (cluster.cluster_state(), cluster.job_state());
    let scheduler = create_scheduler::<LogicalPlanNode, PhysicalPlanNode>(cluster, config).await?;
    let status = StatusService::new(Arc::clone(&scheduler.state), executors, ended);
    let status = FlightServiceServer::new(status);
    let service = SchedulerGrpcServer::new(scheduler)
        .max_decoding_message_size(MESSAGE_BYTES as usize)
        .max_encoding_message_size(MESSAGE_BYTES as usize);
    let trust = options.trust;
    let mut server = Server::builder();
    if let Some(tls) = trust.server() {
        server = server.tls_config(tls).map_err(|error| tls_failed(&error))?;
    }
    let asked = trust.clone();
    let status = InterceptedService::new(status, move |request| asked.check(request));
    let service = InterceptedService::new(service, move |request| trust.check(request));
    listening(address);
    server
        .add_service(service)
        .add_service(status)
        .serve_with_incoming_shutdown(TcpIncoming::from(listener).with_nodelay(Some(true)), stop)
        .await
        .map_err(|error| BallistaError::TonicError(error).into())
}

/// A certificate or key that TLS does not take.
pub(crate) fn tls_failed(error: &tonic::transport::Error) -> Error {
    use std::error::Error as _;
    let why = error
        .source()
        .map_or_else(|| error.to_string(), ToString::to_string);
    Error::Tls { why }
}
