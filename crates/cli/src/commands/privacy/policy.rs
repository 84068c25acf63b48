//! `columna privacy policy`: check one, show what a role sees, start one; and keys for it.

use std::collections::BTreeMap;
use std::io::{Write, stdout};

use arrow::array::AsArray;
use arrow::datatypes::Date32Type;
use columna_model::Day;
use columna_privacy::Principal;
use columna_privacy::disclosure::profile;
use columna_privacy::policy::{Disclosure, RoleKind, Severity, Table, TableView, start};
use columna_privacy::pseudonym::new_key_line;
use columna_privacy::release::named;
use columna_query::SessionOptions;

use super::access::{load, refused};
use super::args::{KeyCommand, PolicyCommand};
use crate::args::StoreArg;
use crate::error::CliError;
use crate::temporary;

pub(super) fn run(command: &PolicyCommand) -> Result<(), CliError> {
    let mut out = stdout().lock();
    match command {
        PolicyCommand::Check { file, store } => {
            let policy = load(file)?;
            let mut problems = policy.check(&tables(store)?);
            problems.extend(newest_day(store)?.and_then(|day| policy.check_ages(day)));
            problems.sort_by_key(|problem| (problem.line, problem.column));
            let name = file.display();
            for problem in &problems {
                writeln!(out, "{name}:{problem}")?;
            }
            let wrong = problems
                .iter()
                .filter(|problem| problem.severity == Severity::Error)
                .count();
            let warnings = problems.len() - wrong;
            writeln!(
                out,
                "{name}: version {}, {} roles, {} rules; {wrong} errors, {warnings} warnings",
                policy.version,
                policy.roles.len(),
                policy.rules.len()
            )?;
            if wrong == 0 {
                Ok(())
            } else {
                Err(CliError::Unsound)
            }
        }
        PolicyCommand::Show {
            file,
            store,
            role,
            purpose,
            project,
        } => {
            let policy = load(file)?;
            let known = policy.roles.get(role);
            let principal = Principal {
                name: String::new(),
                role: role.clone(),
                purpose: purpose
                    .clone()
                    .or_else(|| known.and_then(|role| role.purposes.first().cloned()))
                    .unwrap_or_default(),
                project: project
                    .clone()
                    .or_else(|| known.and_then(|role| role.projects.first().cloned())),
            };
            let tables = tables(store)?;
            let view = policy
                .fits(&principal, &tables)
                .and_then(|()| policy.view(&principal, &tables))
                .map_err(|error| refused(&error))?;
            let project = principal
                .project
                .as_ref()
                .map_or_else(String::new, |project| format!(", project {project}"));
            writeln!(
                out,
                "{role}, a role of kind {}, purpose {}{project}",
                view.kind, principal.purpose
            )?;
            if let Some(role) = known {
                if let Some(disclosure) = &role.disclosure {
                    writeln!(out, "  answers {}", controlled(disclosure))?;
                }
                if let Some(dp) = &role.dp {
                    writeln!(
                        out,
                        "  answers with noise: epsilon {} in all, {} a question, delta {:e}",
                        dp.epsilon, dp.epsilon_per_query, dp.delta
                    )?;
                }
            }
            for (name, seen) in &view.tables {
                show(&mut out, name, seen, view.kind)?;
            }
            let hidden: Vec<&str> = tables
                .iter()
                .map(|table| table.name.as_str())
                .filter(|name| !view.tables.contains_key(*name))
                .collect();
            if !hidden.is_empty() {
                writeln!(out, "\nnot seen at all: {}", hidden.join(", "))?;
            }
            Ok(())
        }
        PolicyCommand::Init { store, profile } => {
            let today = today();
            let text = start(profile, &tables(store)?, &today).unwrap_or_default();
            Ok(write!(out, "{text}")?)
        }
    }
}

/// The rules of an aggregate role, as they are in force: the policy's own in place of its profile's.
fn controlled(disclosure: &Disclosure) -> String {
    let name = &disclosure.profile;
    let Some(rules) = named(disclosure) else {
        return format!("under the disclosure profile {name}");
    };
    let changed = match profile(name) {
        Some(base) if base == rules => "",
        _ => ", changed by this policy",
    };
    let rounding = rules
        .round_to
        .filter(|step| *step > 1)
        .map_or("not rounded".to_owned(), |step| {
            format!("rounded to multiples of {step}")
        });
    let (n, share) = rules.dominance;
    format!(
        "under the disclosure profile {name}{changed}: numbers on at least {} persons, counts {rounding};\n  sums and means \
         without a value that {n} persons hold more than {} % of, p-ratio {}; {} events per coefficient",
        rules.k,
        share * 100.0,
        rules.p_ratio,
        rules.events_per_coefficient
    )
}

fn today() -> String {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs() / 86_400);
    columna_model::Day(i32::try_from(since).unwrap_or_default()).to_string()
}

/// A table's columns, by how they are shown.
fn show(out: &mut impl Write, name: &str, seen: &TableView, kind: RoleKind) -> std::io::Result<()> {
    let mut by_rule: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for column in &seen.columns {
        by_rule
            .entry(column.rule.to_string())
            .or_default()
            .push(&column.name);
    }
    writeln!(out, "\n{name}")?;
    for filter in &seen.filters {
        writeln!(out, "  rows       {filter}")?;
    }
    for (rule, columns) in by_rule {
        let rule = if rule == "raw" && matches!(kind, RoleKind::Aggregate | RoleKind::Dp) {
            "numbers".to_owned()
        } else {
            rule
        };
        writeln!(out, "  {rule:<10} {}", columns.join(", "))?;
    }
    if !seen.rules.is_empty() {
        writeln!(out, "  by         {}", seen.rules.join("; "))?;
    }
    Ok(())
}

fn tables(store: &StoreArg) -> Result<Vec<Table>, CliError> {
    let runtime = crate::commands::runtime(Some(1))?;
    runtime.block_on(async {
        let store = crate::commands::open(&store.store).await?;
        let snapshot = store
            .snapshot(None)
            .await
            .map_err(|error| CliError::engine(&error))?;
        Ok(Table::all(&snapshot))
    })
}

/// The last day that anybody is observed, which is the last of the data; none where the store cannot tell.
fn newest_day(store: &StoreArg) -> Result<Option<Day>, CliError> {
    let runtime = crate::commands::runtime(Some(1))?;
    runtime.block_on(async {
        let store = crate::commands::open(&store.store).await?;
        let options = SessionOptions {
            store: Some(store),
            threads: Some(1),
            ..temporary::session_options()?
        };
        let context = columna_query::session(options)
            .await
            .map_err(|error| CliError::engine(&error))?;
        let sql = "SELECT CAST(max(observation_period_end_date) AS DATE) FROM observation_period";
        // There may be no such table, or no key to read it.
        let Ok(frame) = context.sql(sql).await else {
            return Ok(None);
        };
        let Ok(batches) = frame.collect().await else {
            return Ok(None);
        };
        let column = batches.first().and_then(|batch| batch.columns().first());
        let days = column.and_then(|column| column.as_primitive_opt::<Date32Type>());
        Ok(days.and_then(|days| days.iter().next().flatten()).map(Day))
    })
}

/// A new key.
pub(super) fn key(command: &KeyCommand) -> Result<(), CliError> {
    let KeyCommand::New { name, version } = command;
    let line = new_key_line(name, *version).map_err(|error| CliError::failed(error.to_string()))?;
    Ok(stdout().write_all(line.as_bytes())?)
}
