//! Where a store's bytes live: a local folder, or any object store.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path as FsPath, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use object_store::buffered::BufWriter;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode};
use tokio::io::AsyncWriteExt;

use parquet::encryption::decrypt::FileDecryptionProperties;

use crate::bridge::{blocking, wait};
use crate::encryption::{FileKey, FileKeys};
use crate::manifest::FileEntry;
use crate::{Error, Result};

/// Where a store's bytes live. Paths are relative to the store and use `/`.
#[derive(Debug, Clone)]
pub(crate) struct Backend {
    object_store: Arc<dyn ObjectStore>,
    prefix: Path,
    /// The folder, when it is one: written through the file system, because object_store never fsyncs.
    local: Option<Arc<PathBuf>>,
    url: String,
    /// Where the keys of encrypted files are, if anybody said so.
    keys: Option<Arc<dyn FileKeys>>,
}

/// A file found by listing.
#[derive(Debug, Clone)]
pub(crate) struct Listed {
    pub(crate) path: String,
    pub(crate) bytes: u64,
    pub(crate) modified: SystemTime,
}

/// Whether a put-if-absent was first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Put {
    Won,
    Lost,
}

/// A data file being written.
#[derive(Debug)]
pub(crate) struct NewFile {
    pub(crate) path: String,
    pub(crate) file: File,
}

#[cfg(target_os = "linux")]
fn local_files() -> Arc<dyn ObjectStore> {
    Arc::new(crate::local_files::LocalFiles::new())
}

#[cfg(not(target_os = "linux"))]
fn local_files() -> Arc<dyn ObjectStore> {
    Arc::new(object_store::local::LocalFileSystem::new())
}

impl Backend {
    pub(crate) fn local(folder: &FsPath) -> Result<Self> {
        let folder = folder.canonicalize().map_err(|e| Error::io(folder, e))?;
        let prefix = Path::from_absolute_path(&folder).map_err(|e| Error::Address {
            url: folder.display().to_string(),
            reason: format!("not a path that can be used: {e}"),
        })?;
        Ok(Self {
            object_store: local_files(),
            prefix,
            url: folder.display().to_string(),
            local: Some(Arc::new(folder)),
            keys: None,
        })
    }

    /// Makes the folder of a store that was just created, and all in it, survive a loss of power.
    pub(crate) async fn sync_root(&self, files: impl Iterator<Item = &str>) -> Result<()> {
        self.sync_folders(files).await?;
        let Some(parent) = self.folder().and_then(FsPath::parent) else {
            return Ok(());
        };
        match sync_folder(parent) {
            // A folder may be open for passing through only.
            Err(Error::Io { source, .. }) if source.kind() == ErrorKind::PermissionDenied => Ok(()),
            synced => synced,
        }
    }

    pub(crate) fn remote(object_store: Arc<dyn ObjectStore>, prefix: Path, url: String) -> Self {
        Self {
            object_store,
            prefix,
            local: None,
            url,
            keys: None,
        }
    }

    /// The same place, with keys for its encrypted files.
    pub(crate) fn with_keys(mut self, keys: Arc<dyn FileKeys>) -> Self {
        self.keys = Some(keys);
        self
    }

    pub(crate) fn keys(&self) -> Option<&dyn FileKeys> {
        self.keys.as_deref()
    }

    /// What Parquet needs to read a file; none for a file that is not encrypted.
    pub(crate) fn decryption(
        &self,
        file: &FileEntry,
    ) -> Result<Option<Arc<FileDecryptionProperties>>> {
        let Some(encryption) = &file.encryption else {
            return Ok(None);
        };
        FileKey::new(&encryption.key, self.keys(), &file.path)?
            .to_read(&encryption.columns)
            .map(Some)
    }

    pub(crate) fn object_store(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.object_store)
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn folder(&self) -> Option<&FsPath> {
        self.local.as_deref().map(PathBuf::as_path)
    }

    /// A file's path within `object_store()`.
    pub(crate) fn location(&self, path: &str) -> Path {
        path.split('/')
            .fold(self.prefix.clone(), |at, part| at.join(part))
    }

    /// The bytes of a small file; none when there is no such file.
    pub(crate) async fn read(&self, path: &str) -> Result<Option<Bytes>> {
        if let Some(root) = &self.local {
            return match fs::read(root.join(path)) {
                Ok(bytes) => Ok(Some(bytes.into())),
                Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
                Err(e) => Err(Error::io(root.join(path), e)),
            };
        }
        let location = self.location(path);
        match self.object_store.get(&location).await {
            Ok(found) => Ok(Some(
                found
                    .bytes()
                    .await
                    .map_err(|e| Error::object(&location, e))?,
            )),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(Error::object(&location, e)),
        }
    }

    /// All files under a folder of the store, in no order; none when there is no such folder.
    pub(crate) async fn list(&self, folder: &str) -> Result<Vec<Listed>> {
        if let Some(root) = &self.local {
            let mut found = Vec::new();
            walk(root, folder, &mut found)?;
            return Ok(found);
        }
        let location = self.location(folder);
        let depth = self.prefix.as_ref().len();
        let listed = self.object_store.list(Some(&location));
        listed
            .map_ok(|meta| Listed {
                path: meta.location.as_ref()[depth..]
                    .trim_start_matches('/')
                    .to_owned(),
                bytes: meta.size,
                modified: meta.last_modified.into(),
            })
            .try_collect()
            .await
            .map_err(|e| Error::object(&location, e))
    }

    /// Writes a small file whose content its name determines, whole or not at all.
    pub(crate) async fn put(&self, path: &str, bytes: &[u8]) -> Result<()> {
        if let Some(root) = &self.local {
            let to = root.join(path);
            let (staged, _) = stage(&to, bytes)?;
            return fs::rename(&staged, &to).map_err(|e| Error::io(&to, e));
        }
        let location = self.location(path);
        let put = self
            .object_store
            .put(&location, Bytes::copy_from_slice(bytes).into());
        put.await.map(drop).map_err(|e| Error::object(&location, e))
    }

    /// Writes a file unless there is one, durably. Of several writers at once, one wins.
    pub(crate) async fn put_if_absent(&self, path: &str, bytes: &[u8]) -> Result<Put> {
        if let Some(root) = &self.local {
            let to = root.join(path);
            let (staged, folder) = stage(&to, bytes)?;
            // A link, unlike a rename, does not replace what is there.
            let linked = fs::hard_link(&staged, &to);
            fs::remove_file(&staged).map_err(|e| Error::io(&staged, e))?;
            return match linked {
                Ok(()) => sync_folder(&folder).map(|()| Put::Won),
                Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(Put::Lost),
                Err(e) => Err(Error::io(&to, e)),
            };
        }
        let location = self.location(path);
        let payload = Bytes::copy_from_slice(bytes).into();
        match self
            .object_store
            .put_opts(&location, payload, PutMode::Create.into())
            .await
        {
            Ok(_) => Ok(Put::Won),
            Err(
                object_store::Error::AlreadyExists { .. }
                | object_store::Error::Precondition { .. },
            ) => {
                // A put that was answered too late is retried by the client, and then finds itself.
                let there = self.read(path).await?;
                Ok(if there.is_some_and(|t| t == bytes) {
                    Put::Won
                } else {
                    Put::Lost
                })
            }
            Err(e) => Err(Error::object(&location, e)),
        }
    }

    /// Removes a file; one that is gone already is no error.
    pub(crate) async fn delete(&self, path: &str) -> Result<()> {
        if let Some(root) = &self.local {
            return remove(&root.join(path));
        }
        let location = self.location(path);
        match self.object_store.delete(&location).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(e) => Err(Error::object(&location, e)),
        }
    }

    /// Begins a data file. Blocking. Remote stores get a nameless temporary file, uploaded by `finish`.
    pub(crate) fn create_file(&self, path: String) -> Result<NewFile> {
        let Some(root) = &self.local else {
            let file = tempfile::tempfile().map_err(|e| Error::io("a temporary file", e))?;
            return Ok(NewFile { path, file });
        };
        let to = root.join(&path);
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
        }
        let made = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&to);
        let file = made.map_err(|e| Error::io(&to, e))?;
        Ok(NewFile { path, file })
    }

    /// Makes a data file durable at its final path. Blocking.
    pub(crate) fn finish_file(&self, mut new: NewFile) -> Result<()> {
        if let Some(root) = &self.local {
            return new
                .file
                .sync_all()
                .map_err(|e| Error::io(root.join(&new.path), e));
        }
        let (store, location) = (self.object_store(), self.location(&new.path));
        let failed = |e: std::io::Error| Error::io("a temporary file", e);
        new.file.seek(SeekFrom::Start(0)).map_err(failed)?;
        wait(async move {
            let mut writer = BufWriter::new(store, location.clone());
            let mut piece = vec![0; 1 << 20];
            loop {
                let count = new.file.read(&mut piece).map_err(failed)?;
                if count == 0 {
                    break;
                }
                let written = writer.write_all(&piece[..count]).await;
                written.map_err(|e| Error::io(location.as_ref(), e))?;
            }
            writer
                .shutdown()
                .await
                .map_err(|e| Error::io(location.as_ref(), e))
        })
    }

    /// Removes a data file that nothing refers to. Blocking.
    pub(crate) fn discard_file(&self, path: &str) -> Result<()> {
        if let Some(root) = &self.local {
            return remove(&root.join(path));
        }
        let (backend, path) = (self.clone(), path.to_owned());
        wait(async move { backend.delete(&path).await })
    }

    /// Opens a data file for reading. Blocking. A remote one is first copied to a nameless temporary file.
    pub(crate) fn open_file(&self, path: &str) -> Result<Option<File>> {
        if let Some(root) = &self.local {
            return match File::open(root.join(path)) {
                Ok(file) => Ok(Some(file)),
                Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
                Err(e) => Err(Error::io(root.join(path), e)),
            };
        }
        let (store, location) = (self.object_store(), self.location(path));
        wait(async move {
            let failed = |e: std::io::Error| Error::io("a temporary file", e);
            let found = match store.get(&location).await {
                Ok(found) => found,
                Err(object_store::Error::NotFound { .. }) => return Ok(None),
                Err(e) => return Err(Error::object(&location, e)),
            };
            let mut file = tempfile::tempfile().map_err(failed)?;
            let mut pieces = found.into_stream();
            while let Some(piece) = pieces.next().await {
                file.write_all(&piece.map_err(|e| Error::object(&location, e))?)
                    .map_err(failed)?;
            }
            file.seek(SeekFrom::Start(0)).map_err(failed)?;
            Ok(Some(file))
        })
    }

    /// Makes the names of new files durable: fsyncs every folder on the way to them.
    pub(crate) async fn sync_folders(&self, files: impl Iterator<Item = &str>) -> Result<()> {
        let Some(root) = self.local.clone() else {
            return Ok(());
        };
        let mut folders = std::collections::BTreeSet::from([root.as_ref().clone()]);
        for file in files {
            let mut at = FsPath::new(file).parent();
            while let Some(folder) = at {
                folders.insert(root.join(folder));
                at = folder.parent();
            }
        }
        blocking(move || folders.iter().try_for_each(|folder| sync_folder(folder))).await
    }
}

/// Writes a file under a name of its own beside its place, durably. Returns that name and the folder.
fn stage(to: &FsPath, bytes: &[u8]) -> Result<(PathBuf, PathBuf)> {
    let folder = to.parent().unwrap_or(to).to_path_buf();
    fs::create_dir_all(&folder).map_err(|e| Error::io(&folder, e))?;
    let staged = folder.join(format!("{}{}", crate::file_id::new(), STAGED));
    let write = || {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&staged)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(|e| Error::io(&staged, e))?;
    Ok((staged, folder))
}

/// How the name of a file ends that is still being written, or was when its writer was killed.
pub(crate) const STAGED: &str = ".staged";

fn remove(path: &FsPath) -> Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(Error::io(path, e)),
        _ => Ok(()),
    }
}

fn sync_folder(folder: &FsPath) -> Result<()> {
    let synced = File::open(folder).and_then(|f| f.sync_all());
    synced.map_err(|e| Error::io(folder, e))
}

fn walk(root: &FsPath, folder: &str, found: &mut Vec<Listed>) -> Result<()> {
    let at = root.join(folder);
    let entries = match fs::read_dir(&at) {
        Ok(entries) => entries,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(Error::io(&at, e)),
    };
    for entry in entries {
        let entry = entry.map_err(|e| Error::io(&at, e))?;
        let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
        // A file may be gone by the time it is looked at, when another process is writing.
        let meta = match entry.metadata() {
            Ok(meta) => meta,
            Err(e) if e.kind() == ErrorKind::NotFound => continue,
            Err(e) => return Err(Error::io(entry.path(), e)),
        };
        if meta.is_dir() {
            walk(root, &path, found)?;
        } else {
            found.push(Listed {
                path,
                bytes: meta.len(),
                modified: meta.modified().map_err(|e| Error::io(entry.path(), e))?,
            });
        }
    }
    Ok(())
}
