//! Which schedulers are at work.

use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::params;

use super::State;
use crate::schedule::clock::from_millis;
use crate::schedule::error::Result;
use crate::schedule::process::{Life, ProcessId};

/// A scheduler elsewhere that gave no sign of life for this long is taken to be gone.
const SILENCE: TimeDelta = TimeDelta::seconds(60);

impl State {
    /// A scheduler's sign of life.
    pub(crate) fn beat(&mut self, me: &ProcessId, now: DateTime<Utc>) -> Result<()> {
        self.write("write a sign of life", |tx| {
            tx.execute(
                "INSERT INTO schedulers (process, started, seen) VALUES (?1, ?2, ?2) \
                 ON CONFLICT (process) DO UPDATE SET seen = excluded.seen",
                params![me.encode(), now.timestamp_millis()],
            )?;
            // Those that were killed left their entry.
            let old = (now - TimeDelta::days(1)).timestamp_millis();
            tx.execute("DELETE FROM schedulers WHERE seen < ?1", [old])?;
            Ok(())
        })
    }

    /// A scheduler ends.
    pub(crate) fn leave(&mut self, me: &ProcessId) -> Result<()> {
        self.write("write the end of a scheduler", |tx| {
            tx.execute("DELETE FROM schedulers WHERE process = ?1", [me.encode()])?;
            Ok(())
        })
    }

    /// How many schedulers are at work.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn schedulers(&self, now: DateTime<Utc>) -> Result<usize> {
        self.read("look for schedulers", |connection| {
            let mut statement =
                connection.prepare_cached("SELECT process, seen FROM schedulers")?;
            let rows = statement.query_map([], |row| {
                Ok((row.get::<_, String>(0)?, from_millis(row.get(1)?)))
            })?;
            let mut alive = 0;
            for row in rows {
                let (process, seen) = row?;
                alive += usize::from(match ProcessId::decode(&process).map(|p| p.life()) {
                    Some(Life::Alive) => true,
                    Some(Life::Unknown) => now - seen < SILENCE,
                    Some(Life::Dead) | None => false,
                });
            }
            Ok(alive)
        })
    }
}
