//! Who is served, and with what.

use columna_cluster::{
    Error, ExecutorOptions, SchedulerOptions, Secrets, Stores, Token, Trust, connect, run_executor,
    serve_scheduler,
};
use columna_query::SessionOptions;
use datafusion::prelude::SessionContext;

use crate::cluster::{Cluster, trust};
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
        let trust = Trust::local(Token::new(token).unwrap());
        let refused = connect(&cluster.url(), &trust, SessionOptions::default()).await;
        assert!(matches!(refused, Err(Error::Refused { .. })));
    }

    // A store that the roles were not started with.
    let other = fixture::clinic(&folder.path().join("other")).await;
    let options = SessionOptions {
        store: Some(other),
        ..SessionOptions::default()
    };
    let elsewhere = connect(&cluster.url(), &trust(), options).await.unwrap();
    let said = refusal(&elsewhere, "SELECT count(year_of_birth) FROM person").await;
    assert!(said.contains("does not serve this store"), "{said}");

    // What executors write is for this user alone.
    #[cfg(unix)]
    for folder in std::fs::read_dir(&work).unwrap() {
        use std::os::unix::fs::PermissionsExt;
        let mode = folder.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_machines_are_served_under_a_certificate_only() {
    let local = || Trust::local(Token::new(None).unwrap());
    let options = SchedulerOptions {
        bind: "0.0.0.0:0".parse().unwrap(),
        stores: Stores::default(),
        trust: local(),
    };
    let refused = serve_scheduler(options, |_| (), std::future::pending()).await;
    assert!(matches!(refused, Err(Error::NotLoopback { .. })));
    let folder = tempfile::tempdir().unwrap();
    let options = ExecutorOptions {
        scheduler: "192.0.2.1:50050".to_owned(),
        bind: None,
        stores: Stores::default(),
        trust: local(),
        work_dir: folder.path().to_path_buf(),
        vcores: 1,
        memory_limit: None,
    };
    assert!(matches!(
        run_executor(options, |_| (), std::future::pending()).await,
        Err(Error::NotEncrypted { .. })
    ));
    let nobody = connect("df://127.0.0.1:1", &local(), SessionOptions::default()).await;
    assert!(matches!(nobody, Err(Error::Unreachable { .. })));
}

fn encrypted(secrets: &Secrets, key: bool) -> Trust {
    let key = key.then_some(secrets.key.as_bytes());
    let token = Token::new(Some(&secrets.token)).unwrap();
    Trust::encrypted(token, secrets.certificate.as_bytes(), key).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_talk_under_a_certificate_that_others_do_not_have() {
    let folder = tempfile::tempdir().unwrap();
    let store = fixture::clinic(&folder.path().join("store")).await;
    let secrets = Secrets::new().unwrap();
    let work = folder.path().join("work");
    let cluster = Cluster::with(&store, &work, 2, &encrypted(&secrets, true)).await;
    let options = || SessionOptions {
        store: Some(store.clone()),
        ..SessionOptions::default()
    };

    // A question with a shuffle between executors, from a client without the key.
    let client = encrypted(&secrets, false);
    let session = connect(&cluster.url(), &client, options()).await.unwrap();
    let question =
        "SELECT count(*) FROM (SELECT DISTINCT condition_concept_id FROM condition_occurrence)";
    let here = columna_query::session(options()).await.unwrap();
    assert_eq!(
        fixture::rows(&session, question).await,
        fixture::rows(&here, question).await
    );

    // The right token and no encryption; another cluster's certificate.
    let readable = Trust::local(Token::new(Some(&secrets.token)).unwrap());
    let refused = connect(&cluster.url(), &readable, options()).await;
    assert!(
        matches!(refused, Err(Error::Unreachable { .. })),
        "{:?}",
        refused.err()
    );
    let other = Secrets {
        token: secrets.token.clone(),
        ..Secrets::new().unwrap()
    };
    let refused = connect(&cluster.url(), &encrypted(&other, false), options()).await;
    assert!(
        matches!(refused, Err(Error::Handshake { .. })),
        "{:?}",
        refused.err()
    );
}
