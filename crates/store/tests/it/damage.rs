//! A verification finds what was changed, and names the file.

use std::fs;
use std::path::{Path, PathBuf};

use columna_store::{Error, Store};

use crate::fixture::*;

async fn damaged(harm: impl FnOnce(&Path, &[PathBuf])) -> Vec<(String, String)> {
    let dir = tempfile::tempdir().unwrap();
    let store = clinic(dir.path(), 35).await;
    let tx = store.begin().await.unwrap();
    add_rows(&tx, &[1], 900).unwrap();
    let snapshot = tx.commit(APPEND).await.unwrap();
    let report = store.verify().await.unwrap();
    assert_eq!(report.problems, []);
    assert_eq!((report.snapshots, report.unnamed), (3, 0));
    assert!(report.files > 13 && report.rows > 0);
    let files: Vec<PathBuf> = snapshot
        .table("condition_occurrence")
        .unwrap()
        .files
        .iter()
        .map(|f| on_disk(&store, &f.path))
        .collect();
    harm(dir.path(), &files);
    let report = store.verify().await.unwrap();
    let text = report.to_string();
    assert!(
        report
            .problems
            .iter()
            .all(|p| text.contains(&p.file) && text.contains(&p.what))
    );
    report
        .problems
        .into_iter()
        .map(|p| (p.file, p.what))
        .collect()
}

fn names(problems: &[(String, String)], file: &Path) -> bool {
    problems.iter().any(|(named, _)| file.ends_with(named))
}

fn edit(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{} has no {from}", path.display());
    fs::write(path, text.replacen(from, to, 1)).unwrap();
}

#[tokio::test]
async fn every_damage_is_found_and_none_stops_the_search() {
    let mut harmed = Vec::new();
    let problems = damaged(|root, files| {
        let mut flipped = fs::read(&files[0]).unwrap();
        let middle = flipped.len() / 2;
        flipped[middle] ^= 1;
        fs::write(&files[0], flipped).unwrap();
        let whole = fs::read(&files[1]).unwrap();
        fs::write(&files[1], &whole[..whole.len() - 9]).unwrap();
        fs::remove_file(&files[2]).unwrap();
        fs::write(root.join("tables/person/stranger.parquet"), "x").unwrap();
        harmed.extend(files[..3].to_vec());
        harmed.push(root.join("tables/person/stranger.parquet"));
    })
    .await;
    assert_eq!(problems.len(), 4, "{problems:?}");
    for file in &harmed {
        assert!(names(&problems, file), "{} in {problems:?}", file.display());
    }
    for what in [
        "its content has changed",
        "bytes instead of",
        "it is missing",
        "not a file of the store",
    ] {
        assert!(
            problems.iter().any(|(_, w)| w.contains(what)),
            "{what} in {problems:?}"
        );
    }
}

#[tokio::test]
async fn swapped_files_are_found() {
    let problems = damaged(|root, files| {
        let aside = root.join("aside");
        fs::rename(&files[0], &aside).unwrap();
        fs::rename(&files[3], &files[0]).unwrap();
        fs::rename(&aside, &files[3]).unwrap();
    })
    .await;
    assert_eq!(problems.len(), 2, "{problems:?}");
}

#[tokio::test]
async fn an_edited_manifest_is_found() {
    let mut edited = PathBuf::new();
    let problems = damaged(|root, _| {
        let manifests = all_files(&root.join("manifests"));
        edited = manifests[0].0.clone();
        edit(&edited, "\"rows\": ", "\"rows\": 1");
    })
    .await;
    assert!(names(&problems, &edited), "{problems:?}");
}

#[tokio::test]
async fn a_missing_manifest_is_found() {
    let mut gone = PathBuf::new();
    let problems = damaged(|root, _| {
        gone = all_files(&root.join("manifests"))[0].0.clone();
        fs::remove_file(&gone).unwrap();
    })
    .await;
    assert!(names(&problems, &gone), "{problems:?}");
}

#[tokio::test]
async fn edited_snapshots_are_found_the_newest_too() {
    for version in [1, 2] {
        let name = format!("snapshots/{version:09}.json");
        let problems = damaged(|root, _| {
            edit(
                &root.join(&name),
                "\"row_group_rows\": 64",
                "\"row_group_rows\": 65",
            )
        })
        .await;
        assert!(
            problems.iter().any(|(file, _)| *file == name),
            "{problems:?}"
        );
    }
}

#[tokio::test]
async fn a_snapshot_rewritten_with_its_checksum_breaks_the_chain() {
    let problems = damaged(|root, _| {
        let path = root.join("snapshots/000000001.json");
        let text = fs::read_to_string(&path).unwrap();
        let (start, end) = (text.find(": {\n").unwrap() + 2, text.len() - 2);
        let body = text[start..end].replacen("\"name\": \"first\"", "\"name\": \"other\"", 1);
        let checksum = blake3::hash(body.as_bytes()).to_hex();
        fs::write(
            &path,
            format!("{{\"checksum\": \"{checksum}\", \"snapshot\": {body}}}\n"),
        )
        .unwrap();
    })
    .await;
    let expected = (
        "snapshots/000000001.json".to_owned(),
        "snapshot 2 was made from other content than this".to_owned(),
    );
    assert_eq!(problems, [expected]);
}

#[tokio::test]
async fn a_missing_snapshot_is_found() {
    let problems =
        damaged(|root, _| fs::remove_file(root.join("snapshots/000000001.json")).unwrap()).await;
    assert!(
        problems
            .iter()
            .any(|(file, what)| file == "snapshots/000000001.json" && what == "it is missing")
    );
}

#[tokio::test]
async fn a_store_with_a_damaged_newest_snapshot_opens_for_verification() {
    let dir = tempfile::tempdir().unwrap();
    let url = clinic(dir.path(), 12).await.url().to_owned();
    fs::write(dir.path().join("snapshots/000000001.json"), "{}").unwrap();
    let store = Store::open(&url).await.unwrap();
    assert!(matches!(
        store.snapshot(None).await,
        Err(Error::Damaged { .. })
    ));
    assert!(!store.verify().await.unwrap().is_ok());
    assert!(store.snapshot(Some(0)).await.is_ok());
}
