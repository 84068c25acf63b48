//! Who is served, and with what.

use columna_cluster::{
    Error, ExecutorOptions, SchedulerOptions, Stores, Token, connect, run_executor, serve_scheduler,
};
use columna_query::SessionOptions;
use datafusion::prelude::{CsvReadOptions, SessionContext};

use crate::cluster::{Cluster, TOKEN};
use crate::fixture;

async fn refusal(ctx: &SessionContext, sql: &str) -> String {
    let frame = columna_query::script::sql(ctx, sql).await.unwrap();
    match frame.collect().await {
        Ok(rows) => panic!("{sql} answered {} batches", rows.len()),
        Err(error) => error.to_string(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_serves_its_stores_to_those_with_its_token_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let store = fixture::clinic(&folder.path().join("store")).await;
    let work = folder.path().join("work");
    let cluster = Cluster::start(&store, &work, 1).await;

    let count = "SELECT count(*) FROM person";
    assert_eq!(
        fixture::rows(&cluster.session().await, count).await,
        [["42"]]
    );
    for token in [None, Some("another-token-than-the-roles")] {
        let token = Token::new(token).unwrap();
        let refused = connect(&cluster.url(), &token, SessionOptions::default()).await;
        assert!(matches!(refused, Err(Error::Refused { .. })));
    }

    // A store that the roles were not started with.
    let other = fixture::clinic(&folder.path().join("other")).await;
    let options = SessionOptions {
        store: Some(other),
        ..SessionOptions::default()
    };
    let token = Token::new(Some(TOKEN)).unwrap();
    let elsewhere = connect(&cluster.url(), &token, options).await.unwrap();
    let said = refusal(&elsewhere, "SELECT count(year_of_birth) FROM person").await;
    assert!(said.contains("does not serve this store"), "{said}");

    // A file of the machine that the roles run on.
    let secret = folder.path().join("secret.csv");
    std::fs::write(&secret, "name\nKim\n").unwrap();
    let session = cluster.session().await;
    session
        .register_csv("secret", secret.to_str().unwrap(), CsvReadOptions::new())
        .await
        .unwrap();
    let said = refusal(&session, "SELECT name FROM secret").await;
    assert!(said.contains("No suitable object store"), "{said}");

    // What executors write is for this user alone.
    #[cfg(unix)]
    for folder in std::fs::read_dir(&work).unwrap() {
        use std::os::unix::fs::PermissionsExt;
        let mode = folder.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_machines_are_not_served() {
    let token = || Token::new(None).unwrap();
    let outside = "0.0.0.0:0".parse().unwrap();
    let options = SchedulerOptions {
        bind: outside,
        stores: Stores::default(),
        token: token(),
    };
    let refused = serve_scheduler(options, |_| (), std::future::pending()).await;
    assert!(matches!(refused, Err(Error::NotLoopback { .. })));
    let folder = tempfile::tempdir().unwrap();
    let options = ExecutorOptions {
        scheduler: "192.0.2.1:50050".parse().unwrap(),
        stores: Stores::default(),
        token: token(),
        work_dir: folder.path().to_path_buf(),
        vcores: 1,
        memory_limit: None,
    };
    assert!(matches!(
        run_executor(options, std::future::pending()).await,
        Err(Error::NotLoopback { .. })
    ));
    let nobody = connect("df://127.0.0.1:1", &token(), SessionOptions::default()).await;
    assert!(matches!(nobody, Err(Error::Unreachable { .. })));
}
