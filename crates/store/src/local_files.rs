//! The files of a local store, read where the reader stands when the system holds them in memory already.
//!
//! A client of local files hands each read to another thread, since it may wait for a disk. Most reads of a query
//! do not: the system has the pages. There, waking another thread and handing its memory back costs more than the
//! copy. So a read first asks, without waiting, for the last byte that it wants; only when the system does
//! not have it, another thread reads.

use std::fmt::{Display, Formatter};
use std::fs::File;
use std::io::{ErrorKind, IoSliceMut};
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
};
use rustix::buffer::spare_capacity;
use rustix::io::{ReadWriteFlags, pread, preadv2};

/// A [`LocalFileSystem`] whose reads of ranges don't change threads without need.
#[derive(Debug)]
pub(crate) struct LocalFiles(Arc<LocalFileSystem>);

impl LocalFiles {
    pub(crate) fn new() -> Self {
        Self(Arc::new(LocalFileSystem::new()))
    }

    /// The ranges, if the system has them in memory; none to have them read elsewhere, errors included.
    fn at_hand(&self, location: &Path, ranges: &[Range<u64>]) -> Option<Vec<Bytes>> {
        let file = File::open(self.0.path_to_filesystem(location).ok()?).ok()?;
        ranges.iter().map(|range| held(&file, range)).collect()
    }
}

/// A range of a file, if its last page is in memory. Were one in between not, this waits for it, which is seldom and harmless.
fn held(file: &File, range: &Range<u64>) -> Option<Bytes> {
    let length = usize::try_from(range.end.checked_sub(range.start)?).ok()?;
    let last = range.end.checked_sub(1).filter(|_| length > 0)?;
    let mut probe = [0];
    let probed = preadv2(
        file,
        &mut [IoSliceMut::new(&mut probe)],
        last,
        ReadWriteFlags::NOWAIT,
    );
    if probed != Ok(1) {
        return None;
    }
    let mut bytes = Vec::with_capacity(length);
    while bytes.len() < length {
        let at = range.start + bytes.len() as u64;
        match pread(file, spare_capacity(&mut bytes), at) {
            Ok(0) => return None,
            Ok(_) => {}
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
    bytes.truncate(length);
    Some(bytes.into())
}

impl Display for LocalFiles {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

#[async_trait]
impl ObjectStore for LocalFiles {
    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        match self.at_hand(location, ranges) {
            Some(read) => Ok(read),
            None => self.0.get_ranges(location, ranges).await,
        }
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.0.get_opts(location, options).await
    }

    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        self.0.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.0.put_multipart_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.0.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.0.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.0.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.0.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.0.rename_opts(from, to, options).await
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::fs;

    use super::*;

    #[tokio::test]
    async fn ranges_are_what_the_file_holds() {
        let folder = tempfile::tempdir().unwrap();
        let content: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        let file = folder.path().join("numbers");
        fs::write(&file, &content).unwrap();
        let location = Path::from_absolute_path(&file).unwrap();
        let ranges = [0..1, 3..70_001, 399_990..400_000, 0..400_000];
        let files = LocalFiles::new();
        let read = files.get_ranges(&location, &ranges).await.unwrap();
        for (range, read) in ranges.iter().zip(&read) {
            let [from, to] = [range.start, range.end].map(|at| usize::try_from(at).unwrap());
            assert_eq!(read.as_ref(), &content[from..to], "{range:?}");
        }
        // What the system holds is read here; the folder may lie on a file system that can't tell.
        if let Some(held) = files.at_hand(&location, &ranges) {
            assert_eq!(held, read);
        }
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_the_error_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("short");
        let location = Path::from_absolute_path(&file).unwrap();
        let (ours, plain) = (LocalFiles::new(), LocalFileSystem::new());
        for content in [None, Some("four")] {
            if let Some(content) = content {
                fs::write(&file, content).unwrap();
            }
            for range in [0..9, 9..12, 4..5] {
                let ranges = [range];
                let expected = plain.get_ranges(&location, &ranges).await;
                let found = ours.get_ranges(&location, &ranges).await;
                assert_eq!(
                    found.map_err(|e| e.to_string()),
                    expected.map_err(|e| e.to_string())
                );
            }
        }
    }
}
