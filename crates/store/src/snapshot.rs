//! A snapshot: all tables of a store at one moment, by the hashes of their manifests.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

use crate::buckets::Buckets;
use crate::encryption::Encryption;
use crate::layout::Layout;
use crate::manifest::TableVersion;
use crate::operation::{Delivery, Operation};
use crate::pseudonymised::Pseudonymised;
use crate::{Error, Result};

/// The format that this engine writes for stores that are not encrypted.
const FORMAT: u32 = 1;

/// The format of encrypted stores: older engines would take files they cannot read for damaged, and write others in the
/// clear.
const ENCRYPTED: u32 = 2;

/// The format of pseudonymised stores, and the newest that this engine reads: older ones would add rows as they are.
const PSEUDONYMISED: u32 = 3;

/// A snapshot that another one was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParentRef {
    /// Its version.
    pub version: u64,
    /// BLAKE3 of its bytes, in hexadecimal.
    pub blake3: String,
}

/// All tables of a store at one moment. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Snapshot {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    body: Body,
    hash: String,
    time: DateTime<Utc>,
    tables: BTreeMap<String, Arc<TableVersion>>,
}

/// What a snapshot's file says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Body {
    pub(crate) format: u32,
    pub(crate) version: u64,
    pub(crate) parent: Option<ParentRef>,
    /// The hash of the store's first snapshot, and of the first one that has these rows; none where it is the snapshot itself. What is
    /// known of rows is known by these, also when those snapshots are vacuumed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) first: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) first_with_rows: Option<String>,
    pub(crate) time: String,
    pub(crate) engine: String,
    pub(crate) operation: Operation,
    pub(crate) layout: Layout,
    pub(crate) buckets: Buckets,
    pub(crate) tables: BTreeMap<String, TableRef>,
    pub(crate) deliveries: Vec<Delivery>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) encryption: Option<Encryption>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) pseudonymised: Option<Pseudonymised>,
}

/// A table of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TableRef {
    pub(crate) manifest: String,
    pub(crate) files: u64,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
}

impl TableRef {
    pub(crate) fn new(manifest: String, table: &TableVersion) -> Self {
        Self {
            manifest,
            files: table.files.len() as u64,
            rows: table.rows,
            bytes: table.bytes,
        }
    }
}

/// What stands around the body in a snapshot's file: a checksum of the body's bytes, so that a changed
/// newest snapshot is noticed although no child holds its hash yet.
const BEFORE_CHECKSUM: &str = "{\"checksum\": \"";
const BEFORE_BODY: &str = "\", \"snapshot\": ";
const AFTER_BODY: &str = "}\n";

impl Body {
    /// A body for the commit that comes after `parent`.
    pub(crate) fn after(parent: Option<&Snapshot>, layout: Layout, operation: Operation) -> Self {
        let same_rows = parent.filter(|_| operation.keeps_rows());
        Self {
            first: parent.map(|p| p.first().to_owned()),
            first_with_rows: same_rows.map(|p| p.first_with_rows().to_owned()),
            format: FORMAT,
            version: parent.map_or(0, |p| p.version() + 1),
            parent: parent.map(|p| ParentRef {
                version: p.version(),
                blake3: p.hash().to_owned(),
            }),
            time: Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true),
            engine: format!("columna {}", env!("CARGO_PKG_VERSION")),
            operation,
            layout,
            buckets: Buckets::default(),
            tables: BTreeMap::new(),
            deliveries: Vec::new(),
            encryption: None,
            pseudonymised: None,
        }
    }

    /// Sets how rows are protected from this snapshot on. `files` says whether any file is encrypted.
    pub(crate) fn protect(
        &mut self,
        encryption: Option<Encryption>,
        files: bool,
        pseudonymised: Option<Pseudonymised>,
    ) {
        self.format = if pseudonymised.is_some() {
            PSEUDONYMISED
        } else if encryption.is_some() || files {
            ENCRYPTED
        } else {
            FORMAT
        };
        self.encryption = encryption;
        self.pseudonymised = pseudonymised;
    }

    /// The bytes of the snapshot's file.
    pub(crate) fn encode(&self) -> Result<Vec<u8>> {
        let body = serde_json::to_string_pretty(self)
            .map_err(|e| Error::engine(format!("a snapshot: {e}")))?;
        let checksum = blake3::hash(body.as_bytes()).to_hex();
        Ok(format!("{BEFORE_CHECKSUM}{checksum}{BEFORE_BODY}{body}{AFTER_BODY}").into_bytes())
    }

    /// Reads a snapshot's file.
    pub(crate) fn decode(file: &str, bytes: &[u8]) -> Result<Self> {
        let wrong = |what: &str| Error::damaged(file, what);
        let text = std::str::from_utf8(bytes).map_err(|_| wrong("not a snapshot"))?;
        let parts = text
            .strip_prefix(BEFORE_CHECKSUM)
            .and_then(|rest| rest.strip_suffix(AFTER_BODY))
            .and_then(|rest| rest.split_once(BEFORE_BODY));
        let (checksum, body) = parts.ok_or_else(|| wrong("not a snapshot, or not all of one"))?;
        if blake3::hash(body.as_bytes()).to_hex().as_str() != checksum {
            return Err(wrong("its content does not match its checksum"));
        }
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let Format { format } =
            serde_json::from_str(body).map_err(|_| wrong("it has no format number"))?;
        if format > PSEUDONYMISED {
            return Err(Error::NewerFormat {
                file: file.to_owned(),
                found: format,
                known: PSEUDONYMISED,
            });
        }
        serde_json::from_str(body)
            .map_err(|e| Error::damaged(file, format!("not a snapshot: line {}", e.line())))
    }
}

impl Snapshot {
    pub(crate) fn new(
        file: &str,
        body: Body,
        hash: String,
        tables: BTreeMap<String, Arc<TableVersion>>,
    ) -> Result<Self> {
        let time = DateTime::parse_from_rfc3339(&body.time)
            .map_err(|_| Error::damaged(file, "its time is not a time"))?
            .with_timezone(&Utc);
        Ok(Self {
            inner: Arc::new(Inner {
                body,
                hash,
                time,
                tables,
            }),
        })
    }

    /// The snapshot's number; 0 is the empty store.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.inner.body.version
    }

    /// BLAKE3 of the snapshot's bytes, in hexadecimal: it names the exact data a study ran on.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.inner.hash
    }

    /// The snapshot that this one was made from.
    #[must_use]
    pub fn parent(&self) -> Option<&ParentRef> {
        self.inner.body.parent.as_ref()
    }

    /// The hash of the store's first snapshot, which names the store whatever it is called and wherever it lies. Of a store that an
    /// engine made which did not keep it, the hash of the last snapshot made so.
    #[must_use]
    pub fn first(&self) -> &str {
        self.inner.body.first.as_deref().unwrap_or(self.hash())
    }

    /// The hash of the first snapshot that has the rows of this one: files that are only written anew, in another order or
    /// encrypted otherwise, are no other data.
    #[must_use]
    pub fn first_with_rows(&self) -> &str {
        let kept = self.inner.body.first_with_rows.as_deref();
        kept.unwrap_or(self.hash())
    }

    /// The tables, by name.
    pub fn tables(&self) -> impl ExactSizeIterator<Item = &TableVersion> {
        self.inner.tables.values().map(AsRef::as_ref)
    }

    /// A table by its name.
    #[must_use]
    pub fn table(&self, name: &str) -> Option<&TableVersion> {
        self.inner.tables.get(name).map(AsRef::as_ref)
    }

    /// The ranges of persons that all bucketed tables are divided into.
    #[must_use]
    pub fn buckets(&self) -> &Buckets {
        &self.inner.body.buckets
    }

    /// All deliveries that were ever ingested.
    #[must_use]
    pub fn deliveries(&self) -> &[Delivery] {
        &self.inner.body.deliveries
    }

    /// What made this snapshot.
    #[must_use]
    pub fn operation(&self) -> &Operation {
        &self.inner.body.operation
    }

    /// When it was made.
    #[must_use]
    pub fn time(&self) -> DateTime<Utc> {
        self.inner.time
    }

    /// The engine that made it.
    #[must_use]
    pub fn engine(&self) -> &str {
        &self.inner.body.engine
    }

    /// What later writes encrypt; none where nothing is to be.
    #[must_use]
    pub fn encryption(&self) -> Option<&Encryption> {
        self.inner.body.encryption.as_ref()
    }

    /// What the rows were pseudonymised with before they were stored; none where they are as they were delivered.
    #[must_use]
    pub fn pseudonymised(&self) -> Option<&Pseudonymised> {
        self.inner.body.pseudonymised.as_ref()
    }

    /// How the store lays out its rows.
    #[must_use]
    pub fn layout(&self) -> Layout {
        self.inner.body.layout
    }

    /// The rows of all tables.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.tables().map(|t| t.rows).sum()
    }

    /// The size of all data files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.tables().map(|t| t.bytes).sum()
    }

    pub(crate) fn body(&self) -> &Body {
        &self.inner.body
    }

    pub(crate) fn table_versions(&self) -> &BTreeMap<String, Arc<TableVersion>> {
        &self.inner.tables
    }
}

/// A line of a store's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SnapshotSummary {
    /// The snapshot's number.
    pub version: u64,
    /// BLAKE3 of its bytes.
    pub hash: String,
    /// When it was made, RFC 3339.
    pub time: String,
    /// The engine that made it.
    pub engine: String,
    /// What made it.
    pub operation: Operation,
    /// How many tables it has.
    pub tables: usize,
    /// The rows of all tables.
    pub rows: u64,
    /// The size of all data files.
    pub bytes: u64,
}

impl SnapshotSummary {
    pub(crate) fn new(body: &Body, hash: String) -> Self {
        Self {
            version: body.version,
            hash,
            time: body.time.clone(),
            engine: body.engine.clone(),
            operation: body.operation.clone(),
            tables: body.tables.len(),
            rows: body.tables.values().map(|t| t.rows).sum(),
            bytes: body.tables.values().map(|t| t.bytes).sum(),
        }
    }
}

/// The path of a snapshot.
pub(crate) fn path(version: u64) -> String {
    format!("snapshots/{version:09}.json")
}

/// The version of a snapshot, from its file name.
pub(crate) fn version_of(name: &str) -> Option<u64> {
    let number = name.strip_suffix(".json")?;
    if number.len() < 9 || !number.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    number.parse().ok().filter(|&v| path(v).ends_with(name))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_changed_snapshot_is_noticed() {
        let body = Body::after(None, Layout::default(), Operation::Create);
        let bytes = body.encode().unwrap();
        assert_eq!(Body::decode("s", &bytes).unwrap().version, 0);
        let text = String::from_utf8(bytes).unwrap();
        let edited = text.replace("32768", "32769");
        assert_ne!(text, edited);
        assert!(matches!(
            Body::decode("s", edited.as_bytes()),
            Err(Error::Damaged { .. })
        ));
        assert!(matches!(
            Body::decode("s", b"{}"),
            Err(Error::Damaged { .. })
        ));
    }

    #[test]
    fn a_newer_format_says_so() {
        let mut body = Body::after(None, Layout::default(), Operation::Create);
        body.format = PSEUDONYMISED + 1;
        let bytes = body.encode().unwrap();
        assert!(matches!(
            Body::decode("s", &bytes),
            Err(Error::NewerFormat { .. })
        ));
    }

    #[test]
    fn only_snapshot_names_are_versions() {
        assert_eq!(version_of("000000012.json"), Some(12));
        assert_eq!(version_of("1000000000.json"), Some(1_000_000_000));
        for other in [
            "12.json",
            "000000012.json#1",
            "0000000012.json",
            "x.json",
            "000000012",
        ] {
            assert_eq!(version_of(other), None, "{other}");
        }
    }
}
