//! A store on S3: an S3 server within the test, on the loopback address.

use std::process::Command;

use columna_model::PersonId;
use columna_store::{Error, S3Server, Store, VacuumOptions};

use crate::fixture::*;

const ADDRESS: &str = "s3://clinic/deep/store";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_on_s3() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("clinic")).unwrap();
    let server = S3Server::serve(dir.path()).await.unwrap();
    // The client takes its settings from the environment, which only another process can be given.
    let mut child = Command::new(std::env::current_exe().unwrap());
    child
        .args(["--ignored", "--exact", "s3::the_client", "--nocapture"])
        .envs(server.environment());
    let ended = tokio::task::spawn_blocking(move || child.output().unwrap())
        .await
        .unwrap();
    let told = String::from_utf8_lossy(&ended.stdout).into_owned()
        + &String::from_utf8_lossy(&ended.stderr);
    assert!(
        ended.status.success() && told.contains("1 passed"),
        "{told}"
    );
    let left = all_files(&dir.path().join("clinic/deep/store/snapshots"));
    assert_eq!(
        left.len(),
        1,
        "the server's folder holds the newest snapshot only"
    );
    let everything = all_files(&dir.path().join("clinic"));
    let name = secret(7);
    assert!(
        !everything
            .iter()
            .any(|(_, bytes)| bytes.windows(name.len()).any(|w| w == name.as_bytes()))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by `a_store_on_s3` in a process of its own"]
async fn the_client() {
    if std::env::var("AWS_ENDPOINT").is_err() {
        return;
    }
    assert!(!Store::exists(ADDRESS).await.unwrap());
    assert!(matches!(
        Store::open(ADDRESS).await,
        Err(Error::NotAStore { .. })
    ));
    let store = Store::create(ADDRESS, small()).await.unwrap();
    assert!(matches!(
        Store::create(ADDRESS, small()).await,
        Err(Error::AlreadyAStore { .. })
    ));
    fill(&store, 35).await;

    let (one, two) = (store.begin().await.unwrap(), store.begin().await.unwrap());
    let three = store.begin().await.unwrap();
    add_rows(&one, &[1], 500).unwrap();
    add_rows(&two, &[33], 600).unwrap();
    add_rows(&three, &[2], 700).unwrap();
    one.commit(APPEND).await.unwrap();
    let rebased = two.commit(APPEND).await.unwrap();
    assert_eq!(rebased.table("condition_occurrence").unwrap().rows, 74);
    assert!(matches!(
        three.commit(APPEND).await,
        Err(Error::Conflict { version: 2, .. })
    ));

    let store = Store::open(ADDRESS).await.unwrap();
    assert_eq!(store.erase(PersonId(7)).await.unwrap().rows, 4);
    let report = store.verify().await.unwrap();
    assert_eq!((report.problems.len(), report.snapshots), (0, 5));
    assert!(report.unnamed > 0, "what the loser uploaded");
    store.vacuum(&VacuumOptions::everything()).await.unwrap();
    let report = store.verify().await.unwrap();
    assert_eq!(
        (report.problems.len(), report.snapshots, report.unnamed),
        (0, 1, 0)
    );
    assert_eq!(store.history().await.unwrap().len(), 1);
}
