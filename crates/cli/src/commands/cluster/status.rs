//! `columna cluster status`: what a cluster is doing, for people and as JSON.

use std::io::{Write, stdout};

use columna_cluster::ClusterStatus;

use crate::error::CliError;

pub(super) fn print(status: &ClusterStatus, json: bool) -> Result<(), CliError> {
    let mut out = stdout().lock();
    if json {
        let text =
            serde_json::to_string_pretty(status).map_err(|error| CliError::engine(&error))?;
        writeln!(out, "{text}")?;
        return Ok(());
    }
    let vcores: u32 = status
        .executors
        .iter()
        .map(|executor| executor.vcores)
        .sum();
    writeln!(
        out,
        "{} executors, {vcores} vcores, {} queries",
        status.executors.len(),
        status.queries.len()
    )?;
    if !status.executors.is_empty() {
        writeln!(out, "\n{:<24}{:>8}  last heard of", "executor", "vcores")?;
    }
    for executor in &status.executors {
        writeln!(
            out,
            "{:<24}{:>8}  {} s ago",
            executor.address, executor.vcores, executor.silent_seconds
        )?;
    }
    if !status.queries.is_empty() {
        writeln!(
            out,
            "\n{:<40}{:<10}{:>8}{:>10}{:>16}",
            "query", "state", "seconds", "stages", "tasks"
        )?;
    }
    for query in &status.queries {
        let stages = format!("{}/{}", query.stages_done, query.stages);
        let tasks = format!(
            "{} of {}",
            query.tasks_running,
            query.tasks_running + query.tasks_waiting
        );
        writeln!(
            out,
            "{:<40}{:<10}{:>8}{stages:>10}{tasks:>16}",
            query.id, query.state, query.seconds
        )?;
    }
    Ok(())
}
