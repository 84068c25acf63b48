//! Looks for new snapshots of the stores whose schedules wait for them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use columna_store::{Operation, Store};

use super::clock::Clock;
use super::error::{Error, Result};
use super::scheduler::{chain, spoken};
use super::state::{Entry, Newest, State};
use super::stop::Stop;

/// How long a store may take to answer.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The newest snapshot of a store that changed its data; none where nothing was delivered yet. What only orders files
/// anew is no news for a study.
///
/// # Errors
/// When the store cannot be read.
pub fn newest(url: &str) -> Result<Option<Newest>> {
    let failed = |source: Box<dyn std::error::Error + Send + Sync>| Error::Store {
        url: url.to_owned(),
        source,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| failed(Box::new(error)))?;
    let asked = async { data(&Store::open(url).await?).await };
    runtime
        .block_on(async { tokio::time::timeout(TIMEOUT, asked).await })
        .map_err(|_| failed("it does not answer".into()))?
        .map_err(|error| failed(Box::new(error)))
}

async fn data(store: &Store) -> Result<Option<Newest>, columna_store::Error> {
    let mut snapshot = store.snapshot(None).await?;
    loop {
        let parent = match snapshot.operation() {
            Operation::Create => return Ok(None),
            Operation::Compact { .. } => snapshot.parent().cloned(),
            _ => None,
        };
        let Some(parent) = parent else {
            return Ok(Some(Newest {
                version: snapshot.version(),
                hash: snapshot.hash().to_owned(),
                time: snapshot.time(),
            }));
        };
        match store.snapshot(Some(parent.version)).await {
            Ok(before) => snapshot = before,
            // Its parent is not kept any more, but its name is.
            Err(_) => {
                return Ok(Some(Newest {
                    version: parent.version,
                    hash: parent.blake3,
                    time: snapshot.time(),
                }));
            }
        }
    }
}

/// Looks at all stores once. `said` holds each store's trouble that was told.
pub(crate) fn look(
    state: &State,
    found: &Mutex<BTreeMap<String, Newest>>,
    said: &mut BTreeMap<String, String>,
    clock: &dyn Clock,
    tell: &(dyn Fn(&Entry) + Sync),
) -> Result<()> {
    let mut stores: Vec<String> = state
        .schedules()?
        .into_iter()
        .filter(|schedule| schedule.definition.on_snapshot && !schedule.paused)
        .map(|schedule| schedule.definition.store)
        .collect();
    stores.sort();
    stores.dedup();
    for url in stores {
        match newest(&url) {
            Ok(newest) => {
                said.remove(&url);
                let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                match newest {
                    Some(newest) => found.insert(url, newest),
                    None => found.remove(&url),
                };
            }
            Err(error) => {
                let text = chain(&error);
                if said.get(&url) != Some(&text) {
                    tell(&spoken(clock, "store_unreadable", &text));
                    said.insert(url, text);
                }
            }
        }
    }
    Ok(())
}

/// Looks at all stores again and again.
pub(crate) fn keep(
    folder: &Path,
    found: &Mutex<BTreeMap<String, Newest>>,
    pause: Duration,
    clock: &dyn Clock,
    over: &Stop,
    tell: &(dyn Fn(&Entry) + Sync),
) {
    let mut said = BTreeMap::new();
    while !over.is_asked() {
        // A state that cannot be read is the loop's to tell.
        if let Ok(state) = State::open(folder) {
            let _ = look(&state, found, &mut said, clock, tell);
        }
        over.wait(pause);
    }
}
