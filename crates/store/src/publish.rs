//! Publishes the newest snapshot as Delta tables: a log beside each table's files, and no copies.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use deltalake::kernel::engine::arrow_conversion::TryIntoKernel;
use deltalake::kernel::transaction::CommitBuilder;
use deltalake::kernel::{Action, Add, StructType};
use deltalake::logstore::{LogStoreRef, StorageConfig, default_logstore};
use deltalake::operations::create::CreateBuilder;
use deltalake::protocol::{DeltaOperation, SaveMode};
use deltalake::{DeltaTable, DeltaTableError};
use futures::TryStreamExt;
use object_store::prefix::PrefixStore;
use serde::Serialize;
use serde_json::json;
use std::sync::Arc;
use url::Url;

use crate::manifest::{FileEntry, TableVersion};
use crate::snapshot::Snapshot;
use crate::store::Store;
use crate::table_spec::folder;
use crate::{Error, Result};

/// What was published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PublishReport {
    /// The snapshot.
    pub snapshot: u64,
    /// Its tables.
    pub tables: Vec<PublishedTable>,
}

/// A table of a publication.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PublishedTable {
    /// The table.
    pub name: String,
    /// Where other engines find it.
    pub url: String,
    /// The version of its Delta log.
    pub version: u64,
    /// Files that this version added.
    pub added: usize,
    /// Files that this version removed.
    pub removed: usize,
}

impl fmt::Display for PublishReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (snapshot, tables) = (self.snapshot, self.tables.len());
        write!(f, "snapshot {snapshot} published as {tables} Delta tables")?;
        for table in &self.tables {
            let PublishedTable {
                name,
                url,
                version,
                added,
                removed,
            } = table;
            write!(
                f,
                "\n  {name}: {url}, version {version} (+{added} -{removed} files)"
            )?;
        }
        Ok(())
    }
}

impl Store {
    /// Publishes the newest snapshot as Delta tables, in `tables/<table>/_delta_log`. A table whose columns
    /// did not change gets a version more; one whose columns did, a new log. `vacuum` removes a log when it
    /// removes files that the log may name.
    ///
    /// # Errors
    /// When a table has a type that Delta does not know, or its log cannot be written.
    pub async fn publish_delta(&self) -> Result<PublishReport> {
        let snapshot = self.snapshot(None).await?;
        let encrypted = |t: &&TableVersion| t.files.iter().any(|f| f.encryption.is_some());
        if let Some(table) = snapshot.tables().find(encrypted) {
            return Err(Error::Encrypted {
                what: format!(
                    "table `{}` is encrypted, and no reader of Delta tables can decrypt it: answers leave an encrypted \
                     store with `columna sql --output FILE`",
                    table.spec.name
                ),
            });
        }
        let mut tables = Vec::with_capacity(snapshot.tables().len());
        for table in snapshot.tables() {
            tables.push(self.publish_table(&snapshot, table).await?);
        }
        Ok(PublishReport {
            snapshot: snapshot.version(),
            tables,
        })
    }

    async fn publish_table(
        &self,
        snapshot: &Snapshot,
        table: &TableVersion,
    ) -> Result<PublishedTable> {
        let failed = |source: DeltaTableError| Error::Delta {
            table: table.spec.name.clone(),
            source: Box::new(source),
        };
        let root = format!("tables/{}", folder(&table.spec.name));
        let log = self.log_store(&root)?;
        let columns: StructType = table
            .spec
            .schema
            .as_ref()
            .try_into_kernel()
            .map_err(|e| failed(e.into()))?;
        let wanted: BTreeMap<String, &FileEntry> = table
            .files
            .iter()
            .map(|f| {
                (
                    f.path
                        .strip_prefix(&root)
                        .unwrap_or(&f.path)
                        .trim_start_matches('/')
                        .to_owned(),
                    f,
                )
            })
            .collect();
        let mut published = PublishedTable {
            name: table.spec.name.clone(),
            url: log.root_url().to_string(),
            version: 0,
            added: wanted.len(),
            removed: 0,
        };
        let is_there = log.is_delta_table_location().await.map_err(failed)?;
        if is_there {
            let mut known = DeltaTable::new(Arc::clone(&log));
            known.load().await.map_err(failed)?;
            if known.snapshot().map_err(failed)?.schema().as_ref() == &columns {
                return self
                    .publish_changes(snapshot, table, &known, &wanted, published)
                    .await;
            }
            for file in self.backend().list(&format!("{root}/_delta_log")).await? {
                self.backend().delete(&file.path).await?;
            }
        }
        let adds = wanted
            .iter()
            .map(|(path, file)| add(snapshot, table, path, file));
        let created = CreateBuilder::new()
            .with_log_store(log)
            .with_table_name(&table.spec.name)
            .with_columns(columns.fields().cloned())
            .with_actions(adds.collect::<Result<Vec<_>>>()?)
            .await
            .map_err(failed)?;
        published.version = created.version().unwrap_or_default();
        Ok(published)
    }

    /// Adds a version to a published table: the files that came and those that went.
    async fn publish_changes(
        &self,
        snapshot: &Snapshot,
        table: &TableVersion,
        known: &DeltaTable,
        wanted: &BTreeMap<String, &FileEntry>,
        mut published: PublishedTable,
    ) -> Result<PublishedTable> {
        let failed = |source: DeltaTableError| Error::Delta {
            table: table.spec.name.clone(),
            source: Box::new(source),
        };
        let state = known.snapshot().map_err(failed)?;
        let log = known.log_store();
        let views = state.snapshot().file_views(log.as_ref(), None);
        let views: Vec<_> = views.try_collect().await.map_err(failed)?;
        let there: HashMap<String, _> = views
            .into_iter()
            .map(|view| (view.path().into_owned(), view))
            .collect();
        let mut actions = Vec::new();
        for (path, view) in &there {
            if !wanted.contains_key(path) {
                actions.push(Action::Remove(view.remove_action(true)));
            }
        }
        published.removed = actions.len();
        for (path, file) in wanted.iter().filter(|(path, _)| !there.contains_key(*path)) {
            actions.push(add(snapshot, table, path, file)?);
        }
        published.added = actions.len() - published.removed;
        published.version = state.version();
        if !actions.is_empty() {
            let operation = DeltaOperation::Write {
                mode: SaveMode::Overwrite,
                partition_by: None,
                predicate: None,
            };
            let commit =
                CommitBuilder::default()
                    .with_actions(actions)
                    .build(Some(state), log, operation);
            published.version = commit.await.map_err(failed)?.version();
        }
        Ok(published)
    }

    /// The Delta log of a table's folder, over this store's own object store.
    fn log_store(&self, root: &str) -> Result<LogStoreRef> {
        let location = self.backend().location(root);
        let wrong = || Error::Address {
            url: self.url().to_owned(),
            reason: "it is not an address that a Delta log can be published at".to_owned(),
        };
        let url = match self.backend().folder() {
            Some(store) => Url::from_directory_path(store.join(root)).map_err(|()| wrong())?,
            None => {
                let mut url = Url::parse(self.url()).map_err(|_| wrong())?;
                url.set_path(&format!("{location}/"));
                url
            }
        };
        let whole = self.object_store();
        let within = Arc::new(PrefixStore::new(Arc::clone(&whole), location));
        Ok(default_logstore(
            within,
            whole,
            &url,
            &StorageConfig::default(),
        ))
    }
}

/// The entry of a file in a Delta log, with the statistics that the manifest knows.
fn add(snapshot: &Snapshot, table: &TableVersion, path: &str, file: &FileEntry) -> Result<Action> {
    let mut stats = json!({ "numRecords": file.rows });
    if let (Some(key), Some(min), Some(max)) =
        (&table.spec.person_key, file.min_person, file.max_person)
    {
        stats["minValues"] = json!({ key: min });
        stats["maxValues"] = json!({ key: max });
        stats["nullCount"] = json!({ key: 0 });
    }
    let size =
        i64::try_from(file.bytes).map_err(|_| Error::engine("a file larger than Delta can say"))?;
    Ok(Action::Add(Add {
        path: path.to_owned(),
        size,
        modification_time: snapshot.time().timestamp_millis(),
        data_change: true,
        stats: Some(stats.to_string()),
        ..Add::default()
    }))
}
