//! The keys of a scan's files, for DataFusion's reader.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::common::config::EncryptionFactoryOptions;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::parquet_encryption::EncryptionFactory;
use object_store::path::Path;
use parquet::encryption::decrypt::FileDecryptionProperties;
use parquet::encryption::encrypt::FileEncryptionProperties;

use crate::{FileEntry, Store};

/// The keys of a scan's encrypted files. They stay in this process: a plan that is sent elsewhere goes without them.
pub(crate) struct ScanKeys {
    files: HashMap<Path, Arc<FileDecryptionProperties>>,
}

impl fmt::Debug for ScanKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ScanKeys")
    }
}

impl ScanKeys {
    /// The keys of these files; none where none is encrypted.
    ///
    /// # Errors
    /// When a key is not there or another one.
    pub(crate) fn of(store: &Store, files: &[&FileEntry]) -> Result<Option<Arc<Self>>> {
        let mut found = HashMap::new();
        for file in files {
            let keys = store.backend().decryption(file);
            if let Some(keys) = keys.map_err(|e| DataFusionError::External(Box::new(e)))? {
                found.insert(store.location(file), keys);
            }
        }
        Ok((!found.is_empty()).then(|| Arc::new(Self { files: found })))
    }
}

#[async_trait]
impl EncryptionFactory for ScanKeys {
    async fn get_file_encryption_properties(
        &self,
        _config: &EncryptionFactoryOptions,
        _schema: &SchemaRef,
        _path: &Path,
    ) -> Result<Option<Arc<FileEncryptionProperties>>> {
        Ok(None)
    }

    async fn get_file_decryption_properties(
        &self,
        _config: &EncryptionFactoryOptions,
        path: &Path,
    ) -> Result<Option<Arc<FileDecryptionProperties>>> {
        Ok(self.files.get(path).cloned())
    }
}
