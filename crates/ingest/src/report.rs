//! What an ingest did: for people as aligned tables, for machines as JSON. Counts and names, never a value.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use columna_store::Snapshot;
use serde::Serialize;

use crate::csv::CONVERT;
use crate::engine::{Outcome, REJECTS, TargetCounts};
use crate::findings::{Finding, FindingKind};
use crate::omop::NEEDED;
use crate::parse::Fault;
use crate::reader::Reader;
use crate::source::Source;

/// What an ingest did. For every table, `read = stored + rejected`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct IngestReport {
    /// What the source is, such as `OMOP CDM 5.4`.
    pub format: String,
    /// The source's name.
    pub source: String,
    /// The tables stored, by name.
    pub tables: Vec<TableReport>,
    /// The tables of the source, where they are not the tables stored.
    pub sources: Vec<SourceReport>,
    /// What is implausible or missing.
    pub findings: Vec<Finding>,
    /// Rows of the source.
    pub read: u64,
    /// Rows of the source that were stored.
    pub stored: u64,
    /// Rows of the source that were quarantined.
    pub rejected: u64,
    /// The table that holds the quarantined rows.
    pub rejects_table: &'static str,
    /// Where and why, for the first few of them.
    pub first_rejects: Vec<String>,
    /// Files that have rows of which none could be stored.
    pub rejected_files: Vec<String>,
    /// Bytes of the source.
    pub bytes: u64,
    /// Bytes that were sorted on disk, because memory was short.
    pub spilled_bytes: u64,
    /// The new snapshot.
    pub snapshot: u64,
    /// How long it took.
    pub seconds: f64,
}

/// A table that rows were stored in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TableReport {
    /// Its name.
    pub name: String,
    /// Files that its rows came from.
    pub files: u64,
    /// Rows of the source meant for it.
    pub read: u64,
    /// Those that were stored.
    pub stored: u64,
    /// Those that were quarantined.
    pub rejected: u64,
    /// Rows made beside those of the source.
    pub derived: u64,
    /// The columns in whose order its rows are stored once more.
    pub projections: Vec<String>,
    /// Columns that the model does not have.
    pub extra_columns: Vec<String>,
    /// Required columns that the source does not have.
    pub missing_columns: Vec<String>,
}

/// A table of the source, and where its rows went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SourceReport {
    /// Its name.
    pub name: String,
    /// Its files.
    pub files: u64,
    /// Its rows.
    pub read: u64,
    /// Those that were quarantined.
    pub rejected: u64,
    /// Those that were stored, by table.
    pub stored: BTreeMap<String, u64>,
}

impl IngestReport {
    pub(crate) fn new(
        source: &Source,
        reader: &dyn Reader,
        outcome: Outcome,
        skipped: &[usize],
        mut findings: Vec<Finding>,
        snapshot: &Snapshot,
        elapsed: Duration,
    ) -> Self {
        let name = |target: usize| reader.targets()[target].spec.name.clone();
        let mut sources: BTreeMap<&str, SourceReport> = BTreeMap::new();
        let mut files: Vec<u64> = vec![0; reader.targets().len()];
        for (at, (input, counts)) in reader.inputs().iter().zip(&outcome.inputs).enumerate() {
            if skipped.contains(&at) {
                continue;
            }
            let report = sources.entry(&input.table).or_insert_with(|| SourceReport {
                name: input.table.clone(),
                files: 0,
                read: 0,
                rejected: 0,
                stored: BTreeMap::new(),
            });
            report.files += 1;
            report.read += counts.read;
            report.rejected += counts.rejected;
            for (target, stored) in counts.stored.iter().filter(|(_, stored)| **stored > 0) {
                *report.stored.entry(name(*target)).or_default() += stored;
            }
            let mut targets: Vec<usize> =
                counts.stored.keys().copied().chain([input.home]).collect();
            targets.sort_unstable();
            targets.dedup();
            targets.into_iter().for_each(|target| files[target] += 1);
        }
        // Where every table of the source is the table stored, one list says it all.
        let is_same =
            |report: &SourceReport| report.stored.keys().all(|table| *table == report.name);
        let sources: Vec<SourceReport> = sources.into_values().collect();
        let sources = if sources.iter().all(is_same) {
            Vec::new()
        } else {
            sources
        };
        let tables = reader
            .targets()
            .iter()
            .zip(&outcome.targets)
            .enumerate()
            .map(|(at, (target, counts))| TableReport {
                name: target.spec.name.clone(),
                files: files[at],
                read: counts.stored + counts.rejected,
                stored: counts.stored,
                rejected: counts.rejected,
                derived: counts.derived,
                projections: snapshot
                    .table(&target.spec.name)
                    .map_or_else(Vec::new, |table| table.projections.clone()),
                extra_columns: target.extra_columns.clone(),
                missing_columns: target.missing_columns.clone(),
            });
        let mut tables: Vec<TableReport> = tables.collect();
        tables.sort_by(|a, b| a.name.cmp(&b.name));
        for name in &source.ignored {
            findings.push(Finding::new(name, None, FindingKind::IgnoredFile, 1));
        }
        findings.extend(without_rows(reader, &outcome.targets, snapshot));
        findings.extend(outcome.findings);
        findings.sort_by(|a, b| (&a.table, a.kind, &a.column).cmp(&(&b.table, b.kind, &b.column)));
        let counted = reader.inputs().iter().zip(&outcome.inputs);
        let rejected_files = counted
            .filter(|(_, counts)| counts.rejected > 0 && counts.rejected == counts.read)
            .map(|(input, _)| input.file.name.clone())
            .collect();
        Self {
            format: reader.format(),
            source: source.name.clone(),
            read: outcome.inputs.iter().map(|input| input.read).sum(),
            stored: outcome.targets.iter().map(|target| target.stored).sum(),
            rejected: outcome.inputs.iter().map(|input| input.rejected).sum(),
            tables,
            sources,
            findings,
            rejects_table: REJECTS,
            first_rejects: outcome.rejects,
            rejected_files,
            bytes: reader.inputs().iter().map(|input| input.file.bytes).sum(),
            spilled_bytes: outcome.spilled_bytes,
            snapshot: snapshot.version(),
            seconds: elapsed.as_secs_f64(),
        }
    }

    /// A table by its name.
    #[must_use]
    pub fn table(&self, name: &str) -> Option<&TableReport> {
        self.tables.iter().find(|table| table.name == name)
    }

    /// Rows of the source per second.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    pub fn rows_per_second(&self) -> f64 {
        self.read as f64 / self.seconds.max(1e-9)
    }
}

impl fmt::Display for IngestReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.source, self.format)?;
        let derives = self.tables.iter().any(|table| table.derived > 0);
        let header = ["table", "files", "read", "stored", "rejected"]
            .into_iter()
            .chain(derives.then_some("derived"));
        let mut rows: Vec<Vec<String>> = vec![header.map(str::to_owned).collect()];
        for table in self
            .tables
            .iter()
            .filter(|table| table.read > 0 || table.derived > 0)
        {
            let counts = [table.files, table.read, table.stored, table.rejected]
                .into_iter()
                .chain(derives.then_some(table.derived));
            rows.push(
                std::iter::once(table.name.clone())
                    .chain(counts.map(grouped))
                    .collect(),
            );
        }
        align(f, &rows)?;
        let empty = self
            .tables
            .iter()
            .filter(|table| table.read == 0 && table.derived == 0)
            .count();
        if empty > 0 {
            writeln!(f, "and {empty} tables without rows")?;
        }
        for table in &self.tables {
            for column in &table.projections {
                writeln!(f, "{} is stored once more by {column}", table.name)?;
            }
        }
        if !self.sources.is_empty() {
            writeln!(f, "\nwhere the source's rows went")?;
            let rows = self.sources.iter().map(|source| {
                let stored = source
                    .stored
                    .iter()
                    .map(|(table, rows)| format!("{table} {}", grouped(*rows)));
                let rejected =
                    (source.rejected > 0).then(|| format!("rejected {}", grouped(source.rejected)));
                vec![
                    source.name.clone(),
                    grouped(source.read),
                    stored.chain(rejected).collect::<Vec<_>>().join(", "),
                ]
            });
            align(f, &rows.collect::<Vec<_>>())?;
        }
        for table in self
            .tables
            .iter()
            .filter(|table| !table.extra_columns.is_empty() && table.read > 0)
        {
            writeln!(
                f,
                "extra columns of {}: {}",
                table.name,
                table.extra_columns.join(", ")
            )?;
        }
        if self.rejected > 0 {
            writeln!(
                f,
                "\n{} {} rejected, kept in table {}",
                grouped(self.rejected),
                if self.rejected == 1 { "row" } else { "rows" },
                self.rejects_table
            )?;
            for reject in &self.first_rejects {
                writeln!(f, "  {reject}")?;
            }
            for file in &self.rejected_files {
                writeln!(f, "no row of {file} was stored")?;
            }
            let other_encoding = Fault::Utf8.reason();
            if self
                .first_rejects
                .iter()
                .any(|reject| reject.ends_with(other_encoding))
            {
                writeln!(
                    f,
                    "text that is not UTF-8: {CONVERT}, and ingest with `--replace`"
                )?;
            }
        }
        if !self.findings.is_empty() {
            writeln!(f, "\nstored, but worth a look")?;
            let rows = self.findings.iter().map(|finding| {
                let place = finding.column.as_ref().map_or_else(
                    || finding.table.clone(),
                    |column| format!("{}.{column}", finding.table),
                );
                vec![place, grouped(finding.count), finding.detail.clone()]
            });
            align(f, &rows.collect::<Vec<_>>())?;
        }
        writeln!(
            f,
            "\nsnapshot {}: {} rows in {:.1} s, {} rows/s",
            self.snapshot,
            grouped(self.stored),
            self.seconds,
            grouped(
                format!("{:.0}", self.rows_per_second())
                    .parse()
                    .unwrap_or(0)
            )
        )
    }
}

/// Tables that most analyses need and that are in the source, of which the store has no row all the same.
fn without_rows(reader: &dyn Reader, counts: &[TargetCounts], snapshot: &Snapshot) -> Vec<Finding> {
    let is_given = |at: usize| reader.inputs().iter().any(|input| input.home == at);
    let is_empty = |name: &str| snapshot.table(name).is_none_or(|table| table.rows == 0);
    let targets = reader.targets().iter().enumerate();
    targets
        .zip(counts)
        // Those that were rejected are listed.
        .filter(|(_, counts)| counts.rejected == 0)
        .map(|((at, target), _)| (at, target.spec.name.as_str()))
        .filter(|(at, name)| NEEDED.contains(name) && is_given(*at) && is_empty(name))
        .map(|(_, name)| Finding::new(name, None, FindingKind::NoRows, 1))
        .collect()
}

/// Columns of text: numbers to the right, the first and what is no number to the left.
fn align(f: &mut fmt::Formatter<'_>, rows: &[Vec<String>]) -> fmt::Result {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let is_number = |cell: &String| {
        cell.bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b',')
    };
    for row in rows {
        let mut line = String::new();
        for (at, cell) in row.iter().enumerate() {
            let width = widths[at];
            let to_right = at > 0
                && rows
                    .last()
                    .and_then(|row| row.get(at))
                    .is_some_and(is_number);
            let padding = " ".repeat(width - cell.chars().count());
            line.push_str(if at > 0 { "  " } else { "" });
            line.push_str(&if to_right {
                format!("{padding}{cell}")
            } else {
                format!("{cell}{padding}")
            });
        }
        writeln!(f, "  {}", line.trim_end())?;
    }
    Ok(())
}

/// A number with commas between thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}
