//! The command line's arguments, and nothing else.

use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::size::parse_size;

/// A columnar analytics engine for electronic medical records.
///
/// One binary turns a hospital's files into a patient-clustered Parquet store, answers SQL over it and
/// computes outcome statistics. `columna demo` shows the whole way in one command.
#[derive(Debug, Parser)]
#[command(
    name = "columna",
    version,
    max_term_width = 100,
    arg_required_else_help = true
)]
pub(crate) struct Cli {
    /// When to use colour
    #[arg(
        long = "color",
        value_name = "WHEN",
        global = true,
        default_value = "auto"
    )]
    pub(crate) colour: ColourChoice,
    /// No progress on standard error
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// Where keys are, of pseudonyms and of encrypted stores: a private FILE, `env:NAME` or `command:PROGRAM ARGUMENTS`
    #[arg(long, value_name = "SOURCE", env = "COLUMNA_KEYS", global = true)]
    pub(crate) keys: Option<String>,
    /// What to do
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColourChoice {
    /// On a terminal, unless `NO_COLOR` is set
    Auto,
    /// Also into files and pipes
    Always,
    /// Not at all
    Never,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// The whole way in one command: a synthetic hospital, its store, SQL answers, a survival curve
    Demo(DemoArgs),
    /// Make a synthetic hospital with known truth
    Synth(SynthArgs),
    /// Read a hospital's files into a store
    Ingest(IngestArgs),
    /// What a store holds: tables, rows, bytes, buckets, snapshots, deliveries
    Info(InfoArgs),
    /// Ask a store in SQL, in a shell or from a script
    Sql(Box<SqlArgs>),
    /// Look after a store: compact, erase, verify, vacuum, project, encrypt, publish
    #[command(subcommand)]
    Store(StoreCommand),
    /// Build cohorts from OHDSI definitions, explain and check them
    #[command(subcommand)]
    Cohort(crate::commands::cohort::args::CohortCommand),
    /// Measure what a hospital's questions cost
    #[command(subcommand)]
    Bench(crate::commands::bench::args::BenchCommand),
    /// Look after privacy: policies, keys, budgets, the audit log
    #[command(subcommand)]
    Privacy(crate::commands::privacy::args::PrivacyCommand),
    /// Run studies: from a specification to a report
    #[command(subcommand)]
    Study(crate::commands::study::args::StudyCommand),
    /// Run studies at times, on new snapshots, after other studies
    #[cfg(unix)]
    #[command(subcommand)]
    Schedule(crate::commands::schedule::args::ScheduleCommand),
    /// Start the roles of a cluster, for `--cluster` of `columna sql` and `columna study run`
    #[command(subcommand)]
    Cluster(crate::commands::cluster::args::ClusterCommand),
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
    /// Print the manual page
    Man(ManArgs),
}

/// Arguments of `columna demo`.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// How many patients the synthetic hospital has
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(100..))]
    pub(crate) patients: u64,
    /// Where to put the hospital's files, the store and the plot
    #[arg(long, value_name = "DIR", default_value = "columna-demo")]
    pub(crate) dir: PathBuf,
    /// The seed: the same seed makes the same hospital
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub(crate) seed: u64,
}

/// What `columna synth` writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SynthFormatArg {
    /// OMOP CDM 5.4 tables as CSV
    OmopCsv,
    /// OMOP CDM 5.4 tables as Parquet
    OmopParquet,
    /// A hospital's own extract with direct identifiers (invented), as CSV
    SourceCsv,
}

/// Arguments of `columna synth`.
#[derive(Debug, Args)]
pub(crate) struct SynthArgs {
    /// How many patients
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) patients: u64,
    /// The seed: the same seed makes the same hospital, whatever the number of threads
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub(crate) seed: u64,
    /// The folder to write into; it must be new or empty
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// What to write
    #[arg(long, value_name = "FORMAT", default_value = "omop-csv")]
    pub(crate) format: SynthFormatArg,
    /// How many hospitals; two share a known part of their patients
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=2))]
    pub(crate) hospitals: u8,
    /// The lowest person id, so that a second delivery can be appended to a store
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(i64).range(1..))]
    pub(crate) first_person_id: i64,
    /// How many threads; all cores unless told
    #[arg(long, value_name = "N", value_parser = parse_threads)]
    pub(crate) threads: Option<usize>,
}

/// How `columna ingest` reads its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum IngestFormatArg {
    /// Look at the files and decide
    Auto,
    /// OMOP CDM 5.3 or 5.4, as CSV (also .gz, .zst) or Parquet
    Omop,
    /// Synthea's CSV export
    Synthea,
}

/// Arguments of `columna ingest`.
#[derive(Debug, Args)]
pub(crate) struct IngestArgs {
    /// The folder with the hospital's files
    #[arg(value_name = "SOURCE")]
    pub(crate) source: PathBuf,
    #[command(flatten)]
    pub(crate) store: StoreArg,
    /// What the files are
    #[arg(long, value_name = "FORMAT", default_value = "auto")]
    pub(crate) format: IngestFormatArg,
    /// A folder with the OMOP vocabulary, to map source codes with
    #[arg(long, value_name = "DIR")]
    pub(crate) vocabulary: Option<PathBuf>,
    /// How much memory to use; larger inputs are sorted on disk
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub(crate) memory_limit: Option<usize>,
    /// End with nothing stored when more rows than this are rejected
    #[arg(long, value_name = "N")]
    pub(crate) max_rejects: Option<u64>,
    /// Ingest the same files again, in place of what they brought before
    #[arg(long)]
    pub(crate) replace: bool,
    /// Store these columns although they hold identifiers of persons: COLUMN or TABLE.COLUMN, with commas
    #[arg(long, value_name = "COLUMN", value_delimiter = ',')]
    pub(crate) allow_identifiers: Vec<String>,
    /// Store no values of these columns: COLUMN or TABLE.COLUMN, with commas
    #[arg(long, value_name = "COLUMN", value_delimiter = ',')]
    pub(crate) drop_column: Vec<String>,
    /// Store these tables once more in the order of a column, now and after every change, or `none`: TABLE, by its concept,
    /// or TABLE.COLUMN, with commas; queries for few concepts then read less. Unless told, those that reach a million rows
    #[arg(long, value_name = "TABLE", value_delimiter = ',')]
    pub(crate) projection: Vec<String>,
    /// Store what a role of this policy sees, and nothing else: pseudonyms, shifted dates, no hidden columns
    #[arg(long, value_name = "POLICY", requires = "role")]
    pub(crate) pseudonymize: Option<PathBuf>,
    /// The role of `--pseudonymize`, of kind `analyst`
    #[arg(long, value_name = "ROLE", requires = "pseudonymize")]
    pub(crate) role: Option<String>,
    /// Its purpose; the role's first unless told
    #[arg(long, value_name = "TEXT", requires = "pseudonymize")]
    pub(crate) purpose: Option<String>,
    /// Its project; may be left out where the role has only one
    #[arg(long, value_name = "NAME", requires = "pseudonymize")]
    pub(crate) project: Option<String>,
    #[command(flatten)]
    pub(crate) encrypt: EncryptArgs,
    /// How many threads; all cores unless told
    #[arg(long, value_name = "N", value_parser = parse_threads)]
    pub(crate) threads: Option<usize>,
    /// Print the report as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// What of a new store is encrypted.
#[derive(Debug, Args)]
pub(crate) struct EncryptArgs {
    /// Encrypt a new store's files, now and in all later writes: `all`, `persons` (all but vocabularies), a kind such as
    /// `@clinical`, an identifier class such as `direct` or `free_text`, TABLE or TABLE.COLUMN, with commas
    #[arg(long = "encrypt", value_name = "WHAT", value_delimiter = ',')]
    pub(crate) parts: Vec<String>,
    /// The name of the key in `--keys`; its newest version encrypts
    #[arg(long = "encryption-key", value_name = "NAME", default_value = "store")]
    pub(crate) key: String,
}

/// The store that a command works on.
#[derive(Debug, Args)]
pub(crate) struct StoreArg {
    /// The store: a folder, or a URL
    #[arg(long, value_name = "STORE", env = "COLUMNA_STORE")]
    pub(crate) store: String,
}

/// Arguments of `columna info`.
#[derive(Debug, Args)]
pub(crate) struct InfoArgs {
    #[command(flatten)]
    pub(crate) store: StoreArg,
    /// Look at this snapshot instead of the newest
    #[arg(long, value_name = "VERSION")]
    pub(crate) snapshot: Option<u64>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Aligned columns for people
    Table,
    /// Comma-separated values (RFC 4180), with a header
    Csv,
    /// Tab-separated values, with a header
    Tsv,
    /// One JSON array of objects
    Json,
    /// One JSON object in each line
    Ndjson,
    /// A Markdown table
    Markdown,
    /// Apache Parquet
    Parquet,
    /// Apache Arrow IPC: the file format with `-o`, the stream format on standard output
    Arrow,
}

impl Format {
    /// That of a file, by the ending of its name.
    pub(crate) fn of_file(file: &Path) -> Option<Self> {
        let ending = file.extension()?.to_str()?.to_ascii_lowercase();
        match ending.as_str() {
            "jsonl" => Some(Self::Ndjson),
            "md" => Some(Self::Markdown),
            ending => <Self as ValueEnum>::from_str(ending, false).ok(),
        }
    }

    /// The name as written on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Csv => "csv",
            Self::Tsv => "tsv",
            Self::Json => "json",
            Self::Ndjson => "ndjson",
            Self::Markdown => "markdown",
            Self::Parquet => "parquet",
            Self::Arrow => "arrow",
        }
    }

    /// Bytes, not text: not for a terminal.
    pub(crate) fn is_binary(self) -> bool {
        matches!(self, Self::Parquet | Self::Arrow)
    }

    /// A second result in the same file would make it unreadable.
    pub(crate) fn holds_one_result(self) -> bool {
        !matches!(self, Self::Table | Self::Markdown | Self::Ndjson)
    }
}

/// Arguments of `columna sql`.
#[derive(Debug, Args)]
pub(crate) struct SqlArgs {
    /// The store to ask: a folder, or a URL; without one, SQL still works on files
    #[arg(long, value_name = "STORE", env = "COLUMNA_STORE")]
    pub(crate) store: Option<String>,
    /// Run these statements and end; may be repeated
    #[arg(
        short = 'c',
        long = "command",
        value_name = "SQL",
        allow_hyphen_values = true,
        conflicts_with = "file"
    )]
    pub(crate) commands: Vec<String>,
    /// Run the statements of this file and end; `-` is standard input
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// How results are printed: as a table, or as the ending of `--output` says, unless told
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<Format>,
    /// Write results to this file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// A value for `$NAME` in the statements; may be repeated
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = parse_param)]
    pub(crate) params: Vec<(String, String)>,
    /// Read this snapshot of the store instead of the newest
    #[arg(long, value_name = "VERSION", requires = "store")]
    pub(crate) snapshot: Option<u64>,
    /// How much memory queries may use; beyond it they spill to disk where they can
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub(crate) memory_limit: Option<usize>,
    /// How many threads; all cores unless told
    #[arg(long, value_name = "N", value_parser = parse_threads)]
    pub(crate) threads: Option<usize>,
    #[command(flatten)]
    pub(crate) cluster: crate::commands::cluster::args::ClientArgs,
    /// Neither read nor write the history file
    #[arg(long)]
    pub(crate) no_history: bool,
    #[command(flatten)]
    pub(crate) access: crate::commands::privacy::args::AccessArgs,
}

/// The commands of `columna store`.
#[derive(Debug, Subcommand)]
pub(crate) enum StoreCommand {
    /// Merge small files, and split ranges of persons that have grown too large
    Compact {
        #[command(flatten)]
        store: StoreArg,
    },
    /// Take persons out of every table; `vacuum` then removes the files that held them
    Erase {
        #[command(flatten)]
        store: StoreArg,
        /// A person id, or `-` to read ids from standard input, one in a line; may be repeated
        #[arg(long, value_name = "ID", required = true, allow_hyphen_values = true)]
        person: Vec<String>,
    },
    /// Check hashes, schemas, order, bucket ranges and counts; exit code 1 when something is wrong
    Verify {
        #[command(flatten)]
        store: StoreArg,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove snapshots that are not kept, and files that no kept snapshot names
    Vacuum {
        #[command(flatten)]
        store: StoreArg,
        /// Keep this many of the newest snapshots
        #[arg(long, value_name = "N", default_value_t = 10, value_parser = parse_keep)]
        keep: usize,
        /// Keep snapshots younger than this as well: `30m`, `1h`, `7d`, or `0`
        #[arg(long, value_name = "TIME", default_value = "7d", value_parser = parse_duration)]
        keep_for: std::time::Duration,
        /// Leave files younger than this, which a writer may still need
        #[arg(long, value_name = "TIME", default_value = "1d", value_parser = parse_duration)]
        grace: std::time::Duration,
        /// Keep the newest snapshot and nothing else, at once: what was erased is gone afterwards
        #[arg(long, conflicts_with_all = ["keep", "keep_for", "grace"])]
        everything: bool,
        /// Only say what would be removed
        #[arg(long)]
        dry_run: bool,
    },
    /// Keep a table's rows once more in the order of a column, which queries for few of its values read by themselves
    Project {
        #[command(flatten)]
        store: StoreArg,
        /// The table
        #[arg(value_name = "TABLE")]
        table: String,
        /// The column, of whole numbers; the table's concept unless told
        #[arg(long, value_name = "COLUMN")]
        by: Option<String>,
        /// Give these copies up; `vacuum` then removes the files
        #[arg(long)]
        drop: bool,
        /// How much memory to use for rows while copying; larger files are gone through more than once
        #[arg(long, value_name = "SIZE", value_parser = parse_size, conflicts_with = "drop")]
        memory_limit: Option<usize>,
    },
    /// Change what is encrypted, or under which key, and rewrite the files that were written otherwise
    Encrypt {
        #[command(flatten)]
        store: StoreArg,
        /// What: `all`, `persons` (all but vocabularies), a kind such as `@clinical`, an identifier class such as `direct`
        /// or `free_text`, TABLE or TABLE.COLUMN; `none` decrypts everything
        #[arg(value_name = "WHAT", value_delimiter = ',', required = true)]
        parts: Vec<String>,
        /// The name of the key in `--keys`; its newest version encrypts
        #[arg(long = "encryption-key", value_name = "NAME", default_value = "store")]
        key: String,
    },
    /// Let other engines read the newest snapshot as tables of theirs
    Publish {
        #[command(flatten)]
        store: StoreArg,
        /// As Delta tables: a log beside each table's files, which stay where they are
        #[arg(long, required = true)]
        delta: bool,
    },
}

/// Arguments of `columna completions`.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell to complete in
    pub(crate) shell: clap_complete::Shell,
}

/// Arguments of `columna man`.
#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// Write the pages of all commands into this folder instead
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

pub(crate) fn parse_threads(text: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(threads @ 1..=1024) => Ok(threads),
        _ => Err(format!(
            "`{text}` is not a number of threads; give one from 1 to 1024"
        )),
    }
}

fn parse_keep(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(keep @ 1..) => Ok(keep),
        _ => Err(format!(
            "`{text}` is not a number of snapshots; the newest is always kept, so give at least 1"
        )),
    }
}

fn parse_param(text: &str) -> Result<(String, String), String> {
    let wrong =
        || format!("`{text}` is not NAME=VALUE; write for example `--param since=2020-01-01`");
    let (name, value) = text.split_once('=').ok_or_else(wrong)?;
    if is_variable_name(name) {
        Ok((name.to_owned(), value.to_owned()))
    } else {
        Err(wrong())
    }
}

/// A name that can stand behind `$`: a letter or underscore, then letters, digits and underscores.
pub(crate) fn is_variable_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

pub(crate) fn parse_duration(text: &str) -> Result<std::time::Duration, String> {
    let wrong =
        || format!("`{text}` is not a time; write a number with s, m, h or d, such as `1h`");
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let seconds = match unit {
        "" if number == 0 => 1,
        "s" => 1,
        "m" | "min" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    number
        .checked_mul(seconds)
        .map(std::time::Duration::from_secs)
        .ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use std::time::Duration;

    #[test]
    fn the_parser_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn params_and_durations() {
        assert_eq!(
            parse_param("since=2020-01-01=x"),
            Ok(("since".into(), "2020-01-01=x".into()))
        );
        assert!(parse_param("1x=2").is_err());
        assert!(parse_param("novalue").is_err());
        assert_eq!(parse_duration("0"), Ok(Duration::ZERO));
        assert_eq!(parse_duration("30m"), Ok(Duration::from_secs(1_800)));
        assert!(parse_duration("5").is_err());
        assert!(parse_duration("1 week").is_err());
    }

    #[test]
    fn commands_and_a_file_exclude_each_other() {
        assert!(Cli::try_parse_from(["columna", "sql", "-c", "SELECT 1", "-f", "x.sql"]).is_err());
        assert!(
            Cli::try_parse_from(["columna", "sql", "-c", "SELECT 1", "-c", "SELECT 2"]).is_ok()
        );
    }
}
