//! Runs whose process is gone.

use chrono::{DateTime, Utc};
use rusqlite::params;

use super::State;
use super::claim::{LEASE, is_over};
use super::finish::{Ending, settle};
use super::runs::{self, Run, RunState};
use crate::schedule::error::Result;
use crate::schedule::process::{Life, ProcessId};

/// A run that this process holds after another one lost it, until its remains are gone.
#[derive(Debug, Clone)]
pub struct Held {
    /// The run.
    pub run: i64,
    /// The attempt.
    pub attempt: i64,
    /// The fence to end it with.
    pub fence: i64,
    /// What the attempt's processes carry in their environment.
    pub token: String,
}

impl State {
    /// Runs that are on record as running while nobody does them: their runner is dead, or was never there and the
    /// scheduler that claimed them is dead. Each is taken over, so that a runner that comes late finds it taken.
    ///
    /// # Errors
    /// When the state cannot be read or written.
    pub fn orphans(&mut self, me: &ProcessId, now: DateTime<Utc>) -> Result<Vec<Held>> {
        let running = self.read("look for lost runs", |connection| {
            runs::select(connection, "WHERE state = 'running'", &[])
        })?;
        let mut held = Vec::new();
        for run in running {
            if is_orphan(&run, now) {
                held.extend(self.hold(&run, me, now)?);
            }
        }
        Ok(held)
    }

    /// Takes over a run, unless it changed since it was looked at. A killed process leaves it to the next one.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub(crate) fn hold(
        &mut self,
        run: &Run,
        me: &ProcessId,
        now: DateTime<Utc>,
    ) -> Result<Option<Held>> {
        self.write("take over a lost run", |tx| {
            let found = runs::must(tx, run.run)?;
            if found.state != RunState::Running
                || found.fence != run.fence
                || found.runner != run.runner
            {
                return Ok(None);
            }
            let fence = found.fence + 1;
            tx.execute(
                "UPDATE runs SET fence = ?2, claimant = ?3, runner = NULL, lease = ?4 WHERE run = ?1",
                params![found.run, fence, me.encode(), (now + LEASE).timestamp_millis()],
            )?;
            Ok(Some(Held {
                run: found.run,
                attempt: found.attempts,
                fence,
                token: found.token.unwrap_or_default(),
            }))
        })
    }

    /// Ends the attempt of a run that was taken over, its remains being gone.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub fn release(&mut self, held: &Held, ending: &Ending, now: DateTime<Utc>) -> Result<bool> {
        self.write("end a lost attempt", |tx| {
            let found = runs::must(tx, held.run)?;
            if found.fence != held.fence || found.state != RunState::Running {
                return Ok(false);
            }
            settle(tx, &found, ending, now)?;
            Ok(true)
        })
    }

    /// Whether a run is done by a process that cannot be seen from here, so that only its lease will tell if it lives.
    pub(crate) fn is_done_elsewhere(&self) -> Result<bool> {
        self.read("look for running runs", |connection| {
            let running = runs::select(connection, "WHERE state = 'running'", &[])?;
            let unknown = |run: &Run| {
                let holder = run.runner.as_deref().or(run.claimant.as_deref());
                holder
                    .and_then(ProcessId::decode)
                    .is_some_and(|holder| holder.life() == Life::Unknown)
            };
            Ok(running.iter().any(unknown))
        })
    }

    /// Runs that a process holds.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub(crate) fn claimed_by(&self, me: &ProcessId) -> Result<Vec<Run>> {
        self.read("look for running runs", |connection| {
            runs::select(
                connection,
                "WHERE state = 'running' AND claimant = ?1",
                &[&me.encode()],
            )
        })
    }
}

/// Nobody does it, as far as can be seen from here.
fn is_orphan(run: &Run, now: DateTime<Utc>) -> bool {
    let holder = run.runner.as_deref().or(run.claimant.as_deref());
    let Some(holder) = holder.and_then(ProcessId::decode) else {
        return true;
    };
    match holder.life() {
        // A runner that lives has its run, even when it is stopped. A scheduler that claimed one starts its runner at
        // once; when it does not, it was stopped in between, and a runner that comes later is refused.
        Life::Alive => run.runner.is_none() && is_over(run.lease, LEASE, now),
        Life::Dead => true,
        // Elsewhere, or before the machine was started: the lease decides.
        Life::Unknown => is_over(run.lease, LEASE, now),
    }
}
