//! A store: create it, open it, look at its snapshots.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use futures::{StreamExt, TryStreamExt};
use object_store::ObjectStore;
use object_store::path::Path;

use parquet::arrow::arrow_reader::ArrowReaderOptions;

use crate::backend::{Backend, Put};
use crate::encryption::FileKeys;
use crate::layout::Layout;
use crate::manifest::{self, FileEntry, TableVersion};
use crate::operation::Operation;
use crate::snapshot::{self, Body, Snapshot, SnapshotSummary};
use crate::transaction::Transaction;
use crate::{Error, Result};

/// Small files read at the same time.
pub(crate) const CONCURRENT_READS: usize = 16;

/// Manifests kept in memory: some hundred tables over a few snapshots.
const CACHED_MANIFESTS: usize = 1024;

/// Patient-clustered tables in a folder or an object store. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    backend: Backend,
    layout: Layout,
    /// Manifests by hash: immutable, so never out of date.
    manifests: Mutex<HashMap<String, Arc<TableVersion>>>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Store");
        debug
            .field("url", &self.url())
            .field("layout", &self.inner.layout)
            .finish()
    }
}

impl Store {
    /// Creates an empty store in a new or empty folder, or under an object store's prefix.
    ///
    /// # Errors
    /// When there is a store already, the folder holds other things, or it cannot be written.
    pub async fn create(url: &str, layout: Layout) -> Result<Self> {
        layout.check()?;
        let backend = match address(url)? {
            Address::Folder(folder) => {
                let entries = match fs::read_dir(&folder) {
                    Ok(entries) => entries.collect::<Result<Vec<_>, _>>(),
                    Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
                    Err(e) => Err(e),
                };
                let entries = entries.map_err(|e| Error::io(&folder, e))?;
                // What a `create` that was killed leaves behind is no obstacle to the next one.
                let ours = |e: &fs::DirEntry| e.file_name() == "snapshots";
                if !entries.iter().all(ours) && !Self::exists(url).await? {
                    return Err(Error::NotEmpty {
                        url: url.to_owned(),
                    });
                }
                fs::create_dir_all(&folder).map_err(|e| Error::io(&folder, e))?;
                Backend::local(&folder)?
            }
            Address::Remote(store, prefix) => Backend::remote(store, prefix, url.to_owned()),
        };
        Self::create_in(backend, layout).await
    }

    /// Creates an empty store under a prefix of any object store; `url` is what messages call it.
    ///
    /// # Errors
    /// When there is a store already, or the object store refuses.
    pub async fn create_on(
        store: Arc<dyn ObjectStore>,
        prefix: Path,
        url: &str,
        layout: Layout,
    ) -> Result<Self> {
        layout.check()?;
        Self::create_in(Backend::remote(store, prefix, url.to_owned()), layout).await
    }

    async fn create_in(backend: Backend, layout: Layout) -> Result<Self> {
        if newest(&backend).await?.is_some() {
            return Err(Error::AlreadyAStore {
                url: backend.url().to_owned(),
            });
        }
        let body = Body::after(None, layout, Operation::Create);
        let path = snapshot::path(0);
        if backend.put_if_absent(&path, &body.encode()?).await? == Put::Lost {
            return Err(Error::AlreadyAStore {
                url: backend.url().to_owned(),
            });
        }
        backend.sync_root([path.as_str()].into_iter()).await?;
        Ok(Self::with(backend, layout))
    }

    /// Opens a store: a path, a `file://` address, or, with the feature `cloud`, an object store's address.
    ///
    /// # Errors
    /// When there is no store, or its newest snapshot cannot be read.
    pub async fn open(url: &str) -> Result<Self> {
        let backend = match address(url)? {
            Address::Folder(folder) if folder.is_dir() => Backend::local(&folder)?,
            Address::Folder(_) => {
                return Err(Error::NotAStore {
                    url: url.to_owned(),
                });
            }
            Address::Remote(store, prefix) => Backend::remote(store, prefix, url.to_owned()),
        };
        Self::open_in(backend).await
    }

    /// Opens the store under a prefix of any object store; `url` is what messages call it.
    ///
    /// # Errors
    /// When there is no store, or its newest snapshot cannot be read.
    pub async fn open_on(store: Arc<dyn ObjectStore>, prefix: Path, url: &str) -> Result<Self> {
        Self::open_in(Backend::remote(store, prefix, url.to_owned())).await
    }

    async fn open_in(backend: Backend) -> Result<Self> {
        let mut refused = Error::NotAStore {
            url: backend.url().to_owned(),
        };
        let versions = versions(&backend).await?;
        let newest = versions.last().copied().unwrap_or_default();
        // A store whose newest snapshot is damaged still opens, for `verify` to say so.
        for version in versions.into_iter().rev() {
            match read_body(&backend, version, newest).await {
                Ok((body, _)) => return Ok(Self::with(backend, body.layout)),
                Err(e @ Error::Damaged { .. }) => refused = e,
                Err(e) => return Err(e),
            }
        }
        Err(refused)
    }

    fn with(backend: Backend, layout: Layout) -> Self {
        Self {
            inner: Arc::new(Inner {
                backend,
                layout,
                manifests: Mutex::default(),
            }),
        }
    }

    /// The same store, with keys for its encrypted files.
    #[must_use]
    pub fn with_keys(&self, keys: Arc<dyn FileKeys>) -> Self {
        Self::with(self.backend().clone().with_keys(keys), self.layout())
    }

    /// Whether there is a store.
    ///
    /// # Errors
    /// When the place cannot be read.
    pub async fn exists(url: &str) -> Result<bool> {
        let backend = match address(url)? {
            Address::Folder(folder) if folder.is_dir() => Backend::local(&folder)?,
            Address::Folder(_) => return Ok(false),
            Address::Remote(store, prefix) => Backend::remote(store, prefix, url.to_owned()),
        };
        Ok(newest(&backend).await?.is_some())
    }

    /// A snapshot by its version, or the newest one.
    ///
    /// # Errors
    /// When there is no such snapshot, or it is damaged.
    pub async fn snapshot(&self, version: Option<u64>) -> Result<Snapshot> {
        loop {
            let newest = self.newest_version().await?;
            let wanted = version.unwrap_or(newest);
            match self.load(wanted, newest).await {
                // A vacuum may remove a snapshot between the listing and the reading.
                Err(Error::NoSuchSnapshot { .. })
                    if version.is_none() && self.newest_version().await? != newest => {}
                loaded => return loaded,
            }
        }
    }

    async fn load(&self, version: u64, newest: u64) -> Result<Snapshot> {
        let (body, hash) = read_body(self.backend(), version, newest).await?;
        let wanted: Vec<(String, String)> = body
            .tables
            .iter()
            .map(|(name, table)| (name.clone(), table.manifest.clone()))
            .collect();
        let tables: BTreeMap<String, Arc<TableVersion>> = futures::stream::iter(wanted)
            .map(|(name, hash)| async move { Ok::<_, Error>((name, self.manifest(&hash).await?)) })
            .buffer_unordered(CONCURRENT_READS)
            .try_collect()
            .await?;
        Snapshot::new(&snapshot::path(version), body, hash, tables)
    }

    /// All snapshots that are kept, oldest first.
    ///
    /// # Errors
    /// When one of them cannot be read.
    pub async fn history(&self) -> Result<Vec<SnapshotSummary>> {
        let versions = self.versions().await?;
        let newest = versions.last().copied().unwrap_or_default();
        futures::stream::iter(versions)
            .map(|version| async move {
                let (body, hash) = read_body(self.backend(), version, newest).await?;
                Ok(SnapshotSummary::new(&body, hash))
            })
            .buffered(CONCURRENT_READS)
            .try_collect()
            .await
    }

    /// Begins a change to the store, on top of its newest snapshot.
    ///
    /// # Errors
    /// When the newest snapshot cannot be read.
    pub async fn begin(&self) -> Result<Transaction> {
        let base = self.snapshot(None).await?;
        // A writer that cannot read what is there would take an encrypted store for an empty one.
        for table in base.tables() {
            for file in table.files.iter().filter(|f| f.encryption.is_some()) {
                self.backend().decryption(file)?;
            }
        }
        Ok(Transaction::new(self.clone(), base))
    }

    /// How this store lays out its rows.
    #[must_use]
    pub fn layout(&self) -> Layout {
        self.inner.layout
    }

    /// The object store that holds the data files.
    #[must_use]
    pub fn object_store(&self) -> Arc<dyn ObjectStore> {
        self.inner.backend.object_store()
    }

    /// The store's address: the folder's absolute path, or the object store's address.
    #[must_use]
    pub fn url(&self) -> &str {
        self.inner.backend.url()
    }

    /// The path of a data file within [`Store::object_store`].
    #[must_use]
    pub fn location(&self, file: &FileEntry) -> Path {
        self.inner.backend.location(&file.path)
    }

    /// Opens a data file for reading, on its own position. Blocking; a file of an object store is fetched first.
    ///
    /// # Errors
    /// When the file is missing or cannot be read.
    pub fn open_file(&self, file: &FileEntry) -> Result<fs::File> {
        crate::run_reader::open(self.backend(), &file.path)
    }

    /// How Parquet's readers open a data file: with its keys, if it is encrypted.
    ///
    /// # Errors
    /// When it is encrypted, and its key is not there or another one.
    pub fn reader_options(&self, file: &FileEntry) -> Result<ArrowReaderOptions> {
        crate::run_reader::options(self.backend(), file)
    }

    /// Whether the store is a folder of this machine, where opening a file costs next to nothing.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.backend().folder().is_some()
    }

    pub(crate) fn backend(&self) -> &Backend {
        &self.inner.backend
    }

    /// The versions of all snapshots, ascending.
    pub(crate) async fn versions(&self) -> Result<Vec<u64>> {
        versions(&self.inner.backend).await
    }

    pub(crate) async fn newest_version(&self) -> Result<u64> {
        let newest = newest(&self.inner.backend).await?;
        newest.ok_or_else(|| Error::NotAStore {
            url: self.url().to_owned(),
        })
    }

    /// A manifest by its hash.
    pub(crate) async fn manifest(&self, hash: &str) -> Result<Arc<TableVersion>> {
        let cached = || {
            self.inner
                .manifests
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        if let Some(known) = cached().get(hash) {
            return Ok(Arc::clone(known));
        }
        let path = manifest::path(hash);
        let bytes = self.inner.backend.read(&path).await?;
        let bytes = bytes.ok_or_else(|| Error::damaged(&path, "it is missing"))?;
        let mut table = manifest::decode(hash, &bytes)?;
        table.unseal(self.backend().keys())?;
        let table = Arc::new(table);
        let mut cache = cached();
        if cache.len() >= CACHED_MANIFESTS {
            cache.clear();
        }
        cache.insert(hash.to_owned(), Arc::clone(&table));
        Ok(table)
    }
}

enum Address {
    Folder(PathBuf),
    #[cfg_attr(
        not(feature = "cloud"),
        expect(dead_code, reason = "made by cloud clients only")
    )]
    Remote(Arc<dyn ObjectStore>, Path),
}

fn address(url: &str) -> Result<Address> {
    if let Some(path) = url.strip_prefix("file://") {
        return Ok(Address::Folder(PathBuf::from(path)));
    }
    // A path may hold a colon; an address has a scheme of letters before `://`.
    let scheme = url.split_once("://").map(|(scheme, _)| scheme);
    match scheme.filter(|s| s.len() > 1 && s.bytes().all(|b| b.is_ascii_alphanumeric())) {
        None => Ok(Address::Folder(PathBuf::from(url))),
        Some(scheme) => remote(url, scheme),
    }
}

#[cfg(feature = "cloud")]
fn remote(url: &str, _scheme: &str) -> Result<Address> {
    let wrong = |reason: String| Error::Address {
        url: url.to_owned(),
        reason,
    };
    let parsed = url::Url::parse(url).map_err(|e| wrong(e.to_string()))?;
    let environment = std::env::vars().map(|(name, value)| (name.to_ascii_lowercase(), value));
    let (store, prefix) =
        object_store::parse_url_opts(&parsed, environment).map_err(|e| wrong(e.to_string()))?;
    Ok(Address::Remote(store.into(), prefix))
}

#[cfg(not(feature = "cloud"))]
fn remote(url: &str, scheme: &str) -> Result<Address> {
    Err(Error::Address {
        url: url.to_owned(),
        reason: format!(
            "this build has no client for {scheme}://, build columna with `--features cloud` or give a folder"
        ),
    })
}

pub(crate) async fn versions(backend: &Backend) -> Result<Vec<u64>> {
    let listed = backend.list("snapshots").await?;
    let mut versions: Vec<u64> = listed
        .iter()
        .filter_map(|f| snapshot::version_of(f.path.strip_prefix("snapshots/")?))
        .collect();
    versions.sort_unstable();
    Ok(versions)
}

async fn newest(backend: &Backend) -> Result<Option<u64>> {
    Ok(versions(backend).await?.last().copied())
}

/// Reads a snapshot's file: what it says, and its hash.
pub(crate) async fn read_body(
    backend: &Backend,
    version: u64,
    newest: u64,
) -> Result<(Body, String)> {
    let path = snapshot::path(version);
    let Some(bytes) = backend.read(&path).await? else {
        return Err(Error::NoSuchSnapshot {
            version,
            newest,
            url: backend.url().to_owned(),
        });
    };
    let body = Body::decode(&path, &bytes)?;
    if body.version != version {
        return Err(Error::damaged(
            &path,
            "it is another snapshot under this name",
        ));
    }
    Ok((body, blake3::hash(&bytes).to_hex().to_string()))
}
