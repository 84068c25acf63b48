//! `columna ingest --pseudonymize`: a policy's role, as the treatment of an ingest.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::error::ArrowError;
use columna_ingest::{TableTreatment, Treatment};
use columna_privacy::Principal;
use columna_privacy::pseudonym::{ProjectKeys, PseudonymTable, Pseudonymiser};
use columna_store::{Pseudonymised, TableSpec};

use super::access;
use crate::args::IngestArgs;
use crate::error::CliError;

#[derive(Debug)]
struct Treat(Pseudonymiser);

#[derive(Debug)]
struct TreatTable(PseudonymTable);

impl Treatment for Treat {
    fn table(&self, spec: &TableSpec) -> Result<Option<Arc<dyn TableTreatment>>, String> {
        let table = self.0.table(spec).map_err(in_words)?;
        Ok(table.map(|table| Arc::new(TreatTable(table)) as Arc<dyn TableTreatment>))
    }

    fn fits(&self, tables: &[&TableSpec]) -> Result<(), String> {
        self.0.fits(tables).map_err(in_words)
    }

    fn made_with(&self) -> Pseudonymised {
        self.0.made_with()
    }

    fn fingerprint(&self, hash: String) -> String {
        self.0.fingerprint(hash)
    }
}

fn in_words(error: columna_privacy::Error) -> String {
    match error {
        columna_privacy::Error::Refused(refusal) => {
            format!("{}; {}", refusal.message, refusal.hint)
        }
        other => other.to_string(),
    }
}

impl TableTreatment for TreatTable {
    fn keeps(&self, column: &str) -> bool {
        self.0.keeps(column)
    }

    fn rule(&self, column: &str) -> String {
        self.0.rule(column).to_string()
    }

    fn column(&self, rows: &RecordBatch, column: &str) -> Result<ArrayRef, ArrowError> {
        self.0.column(rows, column)
    }
}

/// The treatment that options ask for.
pub(crate) fn treatment(args: &IngestArgs) -> Result<Option<Arc<dyn Treatment>>, CliError> {
    let (Some(file), Some(name)) = (&args.pseudonymize, &args.role) else {
        return Ok(None);
    };
    let policy = access::load(file)?;
    let mut principal = Principal::new("", name, args.purpose.as_deref().unwrap_or_default());
    principal.project.clone_from(&args.project);
    if args.purpose.is_none()
        && let Some(first) = policy
            .roles
            .get(name)
            .and_then(|role| role.purposes.first())
    {
        principal.purpose.clone_from(first);
    }
    policy
        .role(&principal)
        .map_err(|error| access::refused(&error))?;
    let keys = match (crate::commands::keys::source(), policy.project(&principal)) {
        (Some(source), Some(project)) => {
            let keys = source.load().map_err(|error| access::refused(&error))?;
            let keys = ProjectKeys::new(project, &keys).map_err(|error| access::refused(&error))?;
            Some(Arc::new(keys))
        }
        _ => None,
    };
    let pseudonymiser =
        Pseudonymiser::new(policy, principal, keys).map_err(|error| access::refused(&error))?;
    Ok(Some(Arc::new(Treat(pseudonymiser))))
}
