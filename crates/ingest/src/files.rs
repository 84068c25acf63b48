//! Source files opened: decompressed, hashed and counted while they are read.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use std::sync::Arc;

use columna_model::progress::Progress;

use crate::csv::{Sniffed, sniff};
use crate::source::{Compression, Encoding, SourceFile};
use crate::{Error, Result};

/// Bytes read to find out what a file looks like.
const SAMPLE: usize = 256 << 10;

/// A file that is hashed and counted while it is read.
#[derive(Debug)]
pub(crate) struct HashedFile {
    file: File,
    hasher: blake3::Hasher,
    progress: Arc<dyn Progress>,
}

impl HashedFile {
    pub(crate) fn open(file: &SourceFile, progress: &Arc<dyn Progress>) -> Result<Self> {
        let opened = File::open(&file.path).map_err(|error| Error::io(&file.path, error))?;
        Ok(Self {
            file: opened,
            hasher: blake3::Hasher::new(),
            progress: Arc::clone(progress),
        })
    }
}

impl Read for HashedFile {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.hasher.update(&buffer[..read]);
        self.progress.advance(read as u64);
        Ok(read)
    }
}

/// A file's text, whatever it is compressed with.
pub(crate) enum Text {
    Plain(Box<HashedFile>),
    Gzip(Box<flate2::read::MultiGzDecoder<BufReader<HashedFile>>>),
    Zstd(Box<zstd::Decoder<'static, BufReader<HashedFile>>>),
}

impl std::fmt::Debug for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Plain(_) => "Plain",
            Self::Gzip(_) => "Gzip",
            Self::Zstd(_) => "Zstd",
        })
    }
}

const BUFFER: usize = 1 << 20;

impl Text {
    pub(crate) fn open(
        file: &SourceFile,
        compression: Compression,
        progress: &Arc<dyn Progress>,
    ) -> Result<Self> {
        let hashed = HashedFile::open(file, progress)?;
        Ok(match compression {
            Compression::None => Self::Plain(Box::new(hashed)),
            Compression::Gzip => Self::Gzip(Box::new(flate2::read::MultiGzDecoder::new(
                BufReader::with_capacity(BUFFER, hashed),
            ))),
            Compression::Zstd => {
                let decoder = zstd::Decoder::with_buffer(BufReader::with_capacity(BUFFER, hashed));
                Self::Zstd(Box::new(
                    decoder.map_err(|error| Error::io(&file.path, error))?,
                ))
            }
        })
    }

    /// The hash of the file's bytes; what was not read is read for it.
    pub(crate) fn finish(self, path: &Path) -> Result<String> {
        let mut hashed = match self {
            Self::Plain(hashed) => *hashed,
            Self::Gzip(decoder) => decoder.into_inner().into_inner(),
            Self::Zstd(decoder) => decoder.finish().into_inner(),
        };
        std::io::copy(&mut hashed, &mut std::io::sink()).map_err(|error| Error::io(path, error))?;
        Ok(hashed.hasher.finalize().to_hex().to_string())
    }
}

impl Read for Text {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(file) => file.read(buffer),
            Self::Gzip(decoder) => decoder.read(buffer),
            Self::Zstd(decoder) => decoder.read(buffer),
        }
    }
}

/// The hash of a file's bytes.
pub(crate) fn hash(file: &SourceFile, progress: &Arc<dyn Progress>) -> Result<String> {
    Text::Plain(Box::new(HashedFile::open(file, progress)?)).finish(&file.path)
}

/// Dialect and header of a text file; `None` for an empty one.
pub(crate) fn sniff_file(
    file: &SourceFile,
    compression: Compression,
    known: &dyn Fn(&str) -> bool,
) -> Result<Option<Sniffed>> {
    let silent: Arc<dyn Progress> = Arc::new(columna_model::progress::Silent);
    let mut sample = Vec::new();
    let text = Text::open(file, compression, &silent)?;
    text.take(SAMPLE as u64)
        .read_to_end(&mut sample)
        .map_err(|error| cannot_read(file, &error, 0))?;
    sniff(&sample, known).map_err(|what| Error::bad_file(&file.name, what))
}

/// The error for text that ends or breaks while it is decompressed.
pub(crate) fn cannot_read(file: &SourceFile, error: &std::io::Error, line: u64) -> Error {
    match file.encoding {
        Encoding::Text(Compression::None) | Encoding::Parquet => Error::Io {
            path: file.name.clone(),
            source: std::io::Error::new(error.kind(), error.to_string()),
        },
        Encoding::Text(_) => {
            let what = match error.kind() {
                std::io::ErrorKind::UnexpectedEof => "the compressed data end early",
                _ => "the compressed data are damaged",
            };
            Error::Truncated {
                file: file.name.clone(),
                line,
                what: what.to_owned(),
            }
        }
    }
}
