//! `columna info`: what a store holds.

use std::collections::BTreeSet;
use std::io::{Write, stdout};

use arrow::array::AsArray;
use columna_query::SessionOptions;
use columna_store::{Delivery, Snapshot, SnapshotSummary, Store, TableVersion};
use serde::Serialize;

use crate::args::InfoArgs;
use crate::error::CliError;
use crate::settings::Settings;
use crate::size::{human_bytes, human_count, plural};
use crate::temporary;

/// What a store holds.
#[derive(Debug, Serialize)]
struct Info {
    store: String,
    snapshot: u64,
    hash: String,
    time: String,
    /// As the store's table `cdm_source` says; none where there is no such table.
    cdm_version: Option<String>,
    rows: u64,
    bytes: u64,
    persons: Option<u64>,
    /// What later writes encrypt, and under which key; none where nothing is.
    encryption: Option<columna_store::Encryption>,
    /// What the rows were pseudonymised with before they were stored; none where they are as they were delivered.
    pseudonymised: Option<columna_store::Pseudonymised>,
    buckets: usize,
    tables: Vec<TableInfo>,
    snapshots: Vec<SnapshotSummary>,
    deliveries: Vec<DeliveryInfo>,
}

#[derive(Debug, Serialize)]
struct TableInfo {
    name: String,
    rows: u64,
    bytes: u64,
    files: usize,
    /// The column by which the table is bucketed and sorted; none for a table without persons.
    person_key: Option<String>,
    /// The keys that its files are encrypted under; empty where none is.
    encrypted: Vec<String>,
    /// Its copies in the order of other columns.
    projections: Vec<ProjectionInfo>,
}

#[derive(Debug, Serialize)]
struct ProjectionInfo {
    column: String,
    bytes: u64,
    /// How many of the table's files have a copy; queries read them when all have that they need.
    files: usize,
}

#[derive(Debug, Serialize)]
struct DeliveryInfo {
    name: String,
    snapshot: u64,
    files: usize,
    bytes: u64,
}

/// Runs `columna info`.
pub(crate) fn run(args: &InfoArgs, settings: &Settings) -> Result<(), CliError> {
    let runtime = super::runtime(None)?;
    let info = runtime.block_on(async {
        let store = super::open(&args.store.store).await?;
        let snapshot = store
            .snapshot(args.snapshot)
            .await
            .map_err(|error| CliError::engine(&error))?;
        let history = store
            .history()
            .await
            .map_err(|error| CliError::engine(&error))?;
        let version = cdm_version(&store, &snapshot).await?;
        Ok::<_, CliError>(gather(&store, &snapshot, history, version))
    })?;
    let mut out = stdout().lock();
    if args.json {
        let text = serde_json::to_string_pretty(&info).map_err(|error| CliError::engine(&error))?;
        return Ok(writeln!(out, "{text}")?);
    }
    Ok(out.write_all(text(&info, settings.colour_out).as_bytes())?)
}

fn gather(
    store: &Store,
    snapshot: &Snapshot,
    snapshots: Vec<SnapshotSummary>,
    cdm: Option<String>,
) -> Info {
    Info {
        store: store.url().to_owned(),
        snapshot: snapshot.version(),
        hash: snapshot.hash().to_owned(),
        time: snapshot.time().format("%Y-%m-%dT%H:%M:%SZ").to_string(),
        cdm_version: cdm,
        rows: snapshot.rows(),
        bytes: snapshot.bytes(),
        persons: snapshot.table("person").map(|table| table.rows),
        encryption: snapshot.encryption().cloned(),
        pseudonymised: snapshot.pseudonymised().cloned(),
        buckets: snapshot.buckets().len(),
        tables: snapshot
            .tables()
            .map(|table| TableInfo {
                name: table.spec.name.clone(),
                rows: table.rows,
                bytes: table.bytes,
                files: table.files.len(),
                person_key: table.spec.person_key.clone(),
                encrypted: keys(table),
                projections: projections(table),
            })
            .collect(),
        snapshots,
        deliveries: snapshot.deliveries().iter().map(delivery).collect(),
    }
}

fn projections(table: &TableVersion) -> Vec<ProjectionInfo> {
    let info = |column: &String| {
        let copies = table.files.iter().filter_map(|f| f.projection(column));
        ProjectionInfo {
            column: column.clone(),
            bytes: copies.clone().map(|p| p.file.bytes).sum(),
            files: copies.count(),
        }
    };
    table.projections.iter().map(info).collect()
}

/// The keys that a table's files are encrypted under, and how much of them is.
fn keys(table: &TableVersion) -> Vec<String> {
    let encrypted = table
        .files
        .iter()
        .filter_map(|file| file.encryption.as_ref());
    let keys: BTreeSet<String> = encrypted
        .map(|e| match e.columns.len() {
            0 => e.key.to_string(),
            columns => format!("{} ({})", e.key, plural(columns as u64, "column")),
        })
        .collect();
    keys.into_iter().collect()
}

fn delivery(delivery: &Delivery) -> DeliveryInfo {
    DeliveryInfo {
        name: delivery.name.clone(),
        snapshot: delivery.snapshot,
        files: delivery.files.len(),
        bytes: delivery.files.iter().map(|file| file.bytes).sum(),
    }
}

/// The version of the data model, from the table in which OMOP keeps it.
async fn cdm_version(store: &Store, snapshot: &Snapshot) -> Result<Option<String>, CliError> {
    // Who has no keys still sees what there is, without a look into the files.
    let readable = |table: &TableVersion| {
        let mut files = table.files.iter();
        table.rows > 0 && files.all(|file| store.reader_options(file).is_ok())
    };
    if !snapshot.table("cdm_source").is_some_and(readable) {
        return Ok(None);
    }
    let options = SessionOptions {
        store: Some(store.clone()),
        snapshot: Some(snapshot.version()),
        threads: Some(1),
        ..temporary::session_options()?
    };
    let context = columna_query::session(options)
        .await
        .map_err(|error| CliError::engine(&error))?;
    let sql = "SELECT max(CAST(cdm_version AS VARCHAR)) FROM cdm_source";
    // A store whose cdm_source lacks the column has no version to show.
    let Ok(frame) = context.sql(sql).await else {
        return Ok(None);
    };
    let batches = frame
        .collect()
        .await
        .map_err(|error| CliError::engine(&error))?;
    Ok(batches.first().and_then(|batch| {
        let column =
            arrow::compute::cast(batch.columns().first()?, &arrow::datatypes::DataType::Utf8)
                .ok()?;
        column
            .as_string::<i32>()
            .iter()
            .next()
            .flatten()
            .map(str::to_owned)
    }))
}

fn text(info: &Info, colour: bool) -> String {
    let (bold, off) = if colour {
        ("\x1b[1m", "\x1b[0m")
    } else {
        ("", "")
    };
    let mut text = format!(
        "{bold}{}{off}\n  snapshot {} of {}, hash {}\n  {} in {}, {}\n  {}{}\n",
        info.store,
        info.snapshot,
        info.time,
        info.hash.get(..12).unwrap_or(&info.hash),
        plural(info.rows, "row"),
        human_bytes(info.bytes),
        plural(u64::try_from(info.buckets).unwrap_or(0), "bucket"),
        info.persons.map_or(String::new(), |persons| format!(
            "{}, ",
            plural(persons, "person")
        )),
        info.cdm_version
            .as_ref()
            .map_or("no CDM version recorded".to_owned(), |version| format!(
                "OMOP CDM {version}"
            )),
    );
    if let Some(encryption) = &info.encryption {
        text.push_str(&format!(
            "  encrypts {} under the key {}\n",
            encryption.parts.join(", "),
            encryption.key
        ));
    }
    if let Some(with) = &info.pseudonymised {
        let key = with.key.as_ref().zip(with.dates.as_ref());
        let key = key.map_or(String::new(), |(mark, dates)| {
            format!(", under the key with the mark {mark}, dates moved {dates}")
        });
        text.push_str(&format!("  pseudonymised{key}\n"));
    }
    text.push_str(&format!("\n{bold}Tables{off}\n"));
    let any = info.tables.iter().any(|table| !table.encrypted.is_empty());
    let rows: Vec<[String; 6]> = info
        .tables
        .iter()
        .map(|table| {
            [
                table.name.clone(),
                human_count(table.rows),
                human_bytes(table.bytes),
                table.files.to_string(),
                table.person_key.clone().unwrap_or_else(|| "-".to_owned()),
                match table.encrypted.as_slice() {
                    [] if any => "-".to_owned(),
                    keys => keys.join(", "),
                },
            ]
        })
        .collect();
    text.push_str(&columns(
        [
            "table",
            "rows",
            "size",
            "files",
            "by person",
            if any { "key" } else { "" },
        ],
        &rows,
        [false, true, true, true, false, false],
    ));
    let copies: Vec<[String; 4]> = info
        .tables
        .iter()
        .flat_map(|table| {
            table.projections.iter().map(|copy| {
                [
                    table.name.clone(),
                    copy.column.clone(),
                    human_bytes(copy.bytes),
                    format!("{} of {}", copy.files, table.files),
                ]
            })
        })
        .collect();
    if !copies.is_empty() {
        text.push_str(&format!("\n{bold}Projections{off}\n"));
        text.push_str(&columns(
            ["table", "in the order of", "size", "files"],
            &copies,
            [false, false, true, true],
        ));
    }
    text.push_str(&format!("\n{bold}Snapshots{off}\n"));
    let rows: Vec<[String; 4]> = info
        .snapshots
        .iter()
        .map(|snapshot| {
            let time = snapshot
                .time
                .get(..19)
                .unwrap_or(&snapshot.time)
                .replace('T', " ");
            [
                snapshot.version.to_string(),
                time,
                human_count(snapshot.rows),
                snapshot.operation.to_string(),
            ]
        })
        .collect();
    text.push_str(&columns(
        ["version", "made (UTC)", "rows", "by"],
        &rows,
        [true, false, true, false],
    ));
    if !info.deliveries.is_empty() {
        text.push_str(&format!("\n{bold}Deliveries{off}\n"));
        let rows: Vec<[String; 4]> = info
            .deliveries
            .iter()
            .map(|delivery| {
                [
                    delivery.name.clone(),
                    delivery.snapshot.to_string(),
                    delivery.files.to_string(),
                    human_bytes(delivery.bytes),
                ]
            })
            .collect();
        text.push_str(&columns(
            ["delivery", "snapshot", "files", "size"],
            &rows,
            [false, true, true, true],
        ));
    }
    text
}

/// Lines of aligned columns, indented.
pub(crate) fn columns<const N: usize>(
    head: [&str; N],
    rows: &[[String; N]],
    right: [bool; N],
) -> String {
    let mut widths = head.map(|name| name.chars().count());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: Vec<&str>| {
        let mut text = String::new();
        for ((cell, width), right) in cells.iter().zip(widths).zip(right) {
            text.push_str("  ");
            if right {
                text.push_str(&format!("{cell:>width$}"));
            } else {
                text.push_str(&format!("{cell:width$}"));
            }
        }
        text.trim_end().to_owned() + "\n"
    };
    let mut text = line(head.to_vec());
    for row in rows {
        text.push_str(&line(row.iter().map(String::as_str).collect()));
    }
    text
}
