//! Ways past the command line: roles spoken to directly, and plans made by hand.

use std::path::Path;
use std::sync::Arc;

use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::{Action, Ticket};
use ballista_core::extension::{SessionConfigExt, SessionStateExt};
use ballista_core::serde::protobuf::action::ActionType;
use ballista_core::serde::protobuf::execute_query_params::Query;
use ballista_core::serde::protobuf::scheduler_grpc_client::SchedulerGrpcClient;
use ballista_core::serde::protobuf::{
    self, CancelJobParams, CleanJobDataParams, ExecuteQueryParams, FetchPartition,
    GetJobMetricsParams, GetJobStatusParams, PollWorkParams, RegisterExecutorParams,
};
use columna_cluster::{
    Error, ExecutorOptions, SchedulerOptions, Stores, Token, Trust, run_executor, serve_scheduler,
    status,
};
use datafusion::execution::SessionStateBuilder;
use datafusion::prelude::{ParquetReadOptions, SessionConfig, SessionContext};
use prost::Message;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};

use crate::cluster::{Cluster, TOKEN, trust};
use crate::fixture;

async fn channel(address: &str, token: Option<&str>) -> Channel {
    let mut endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    if let Some(token) = token {
        endpoint = endpoint.user_agent(token.to_owned()).unwrap();
    }
    endpoint.connect().await.unwrap()
}

/// What each call of a scheduler and an executor says to somebody who carries this.
async fn answers(
    scheduler: &str,
    executor: &str,
    token: Option<&str>,
) -> Vec<(&'static str, Code)> {
    fn code<T>(answer: Result<T, tonic::Status>) -> Code {
        answer.err().map_or(Code::Ok, |status| status.code())
    }
    let mut client = SchedulerGrpcClient::new(channel(scheduler, token).await);
    let query = || ExecuteQueryParams {
        query: Some(Query::LogicalPlan(b"no plan".to_vec())),
        ..ExecuteQueryParams::default()
    };
    let job_id = || "a-job".to_owned();
    let mut told = vec![
        ("execute_query", code(client.execute_query(query()).await)),
        (
            "execute_query_push",
            code(client.execute_query_push(query()).await),
        ),
        (
            "get_job_status",
            code(
                client
                    .get_job_status(GetJobStatusParams { job_id: job_id() })
                    .await,
            ),
        ),
        (
            "get_job_metrics",
            code(
                client
                    .get_job_metrics(GetJobMetricsParams { job_id: job_id() })
                    .await,
            ),
        ),
        (
            "cancel_job",
            code(
                client
                    .cancel_job(CancelJobParams { job_id: job_id() })
                    .await,
            ),
        ),
        (
            "clean_job_data",
            code(
                client
                    .clean_job_data(CleanJobDataParams {
                        job_id: job_id(),
                        ..CleanJobDataParams::default()
                    })
                    .await,
            ),
        ),
        // Whoever poses as an executor would be sent plans, and results to fetch.
        (
            "poll_work",
            code(client.poll_work(PollWorkParams::default()).await),
        ),
        (
            "register_executor",
            code(
                client
                    .register_executor(RegisterExecutorParams::default())
                    .await,
            ),
        ),
    ];
    let mut client = FlightServiceClient::new(channel(scheduler, token).await);
    let action = |name: &str| Action {
        r#type: name.to_owned(),
        ..Action::default()
    };
    told.push((
        "status",
        code(client.do_action(action("columna.status")).await),
    ));
    let mut client = FlightServiceClient::new(channel(executor, token).await);
    told.push(("do_get", code(client.do_get(Ticket::default()).await)));
    told.push((
        "do_action",
        code(client.do_action(action("IO_BLOCK_TRANSPORT")).await),
    ));
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn no_call_of_any_role_answers_without_the_token() {
    let folder = tempfile::tempdir().unwrap();
    let store = fixture::clinic(&folder.path().join("store")).await;
    let cluster = Cluster::start(&store, &folder.path().join("work"), 1).await;
    let scheduler = cluster.address.to_string();
    // Once it has answered, the executor is there.
    fixture::rows(
        &cluster.session().await,
        "SELECT count(birth_datetime) FROM person",
    )
    .await;
    let known = status(&cluster.url(), &trust()).await.unwrap();
    let executor = &known.executors.first().unwrap().address;

    for token in [
        None,
        Some(""),
        Some("a-token-of-the-test"),
        Some("Bearer a-token-of-the-tests"),
    ] {
        for (call, code) in answers(&scheduler, executor, token).await {
            assert_eq!(code, Code::Unauthenticated, "{call} with {token:?}");
        }
    }
    // With it the same calls come through, so that it is the token that was missing.
    for (call, code) in answers(&scheduler, executor, Some(TOKEN)).await {
        assert_ne!(code, Code::Unauthenticated, "{call}");
    }

    // With the token too, a query's name is no way out of the executor's folder.
    let mut client = FlightServiceClient::new(channel(executor, Some(TOKEN)).await);
    for (name, refused) in [
        ("a-job", false),
        ("../../store", true),
        ("/etc", true),
        ("", true),
    ] {
        let piece = FetchPartition {
            job_id: name.to_owned(),
            ..FetchPartition::default()
        };
        let asked = protobuf::Action {
            action_type: Some(ActionType::FetchPartition(piece)),
            ..protobuf::Action::default()
        };
        let asked = asked.encode_to_vec();
        let got = client
            .do_get(Ticket {
                ticket: asked.clone().into(),
            })
            .await;
        let as_bytes = Action {
            r#type: "IO_BLOCK_TRANSPORT".to_owned(),
            body: asked.into(),
        };
        let acted = client.do_action(as_bytes).await;
        for code in [got.unwrap_err().code(), acted.unwrap_err().code()] {
            assert_eq!(code == Code::InvalidArgument, refused, "{name}: {code}");
        }
    }
}

/// A client of stock Ballista, whose plans name files.
fn stock_client(scheduler: &str) -> SessionContext {
    let config = SessionConfig::new_with_ballista()
        .with_ballista_override_create_grpc_client_endpoint(Arc::new(|endpoint: Endpoint| {
            Ok(endpoint.user_agent(TOKEN)?)
        }));
    let state = SessionStateBuilder::new()
        .with_config(config)
        .with_default_features()
        .build()
        .upgrade_for_ballista(format!("http://{scheduler}"))
        .unwrap();
    SessionContext::new_with_state(state)
}

fn a_data_file(folder: &Path) -> String {
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|kind| kind == "parquet") {
                return path.display().to_string();
            }
        }
    }
    panic!("a store has files");
}

#[tokio::test(flavor = "multi_thread")]
async fn plans_made_by_hand_reach_no_file_of_any_role() {
    let folder = tempfile::tempdir().unwrap();
    let store = fixture::clinic(&folder.path().join("store")).await;
    fixture::clinic(&folder.path().join("other")).await;
    let cluster = Cluster::start(&store, &folder.path().join("work"), 1).await;
    let stock = stock_client(&cluster.address.to_string());
    // A file of another store, and one of the store that is served, past its catalogue.
    for store in ["other", "store"] {
        let file = a_data_file(&folder.path().join(store));
        let count = format!("SELECT count(*) FROM {store}");
        for (ctx, may) in [(&SessionContext::new(), true), (&stock, false)] {
            ctx.register_parquet(store, &file, ParquetReadOptions::default())
                .await
                .unwrap();
            let rows = ctx.sql(&count).await.unwrap().collect().await;
            assert_eq!(rows.is_ok(), may, "{store}: {rows:?}");
        }
    }
    // Nor is one written.
    let out = folder.path().join("out.parquet");
    let copy = format!("COPY (VALUES (1)) TO '{}' STORED AS PARQUET", out.display());
    let written = match stock.sql(&copy).await {
        Ok(frame) => frame.collect().await.map(|_| ()),
        Err(error) => Err(error),
    };
    assert!(written.is_err() && !out.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_under_a_policy_is_served_to_holders_of_a_token_only() {
    let folder = tempfile::tempdir().unwrap();
    let store = fixture::clinic(&folder.path().join("store")).await;
    let state = folder.path().join("store.privacy");
    std::fs::create_dir(&state).unwrap();
    std::fs::write(state.join("policy.toml"), "version = 1\n").unwrap();
    let open = || Trust::local(Token::new(None).unwrap());
    let stores = || Stores::new(vec![store.clone()]);
    let options = SchedulerOptions {
        bind: "127.0.0.1:0".parse().unwrap(),
        stores: stores(),
        trust: open(),
    };
    let refused = serve_scheduler(options, |_| (), std::future::pending()).await;
    assert!(matches!(refused, Err(Error::Open { .. })), "{refused:?}");
    let options = ExecutorOptions {
        scheduler: "127.0.0.1:1".to_owned(),
        bind: None,
        stores: stores(),
        trust: open(),
        work_dir: folder.path().to_path_buf(),
        vcores: 1,
        memory_limit: None,
    };
    let refused = run_executor(options, |_| (), std::future::pending()).await;
    assert!(matches!(refused, Err(Error::Open { .. })), "{refused:?}");
}
