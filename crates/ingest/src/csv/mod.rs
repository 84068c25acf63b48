//! Delimited text: its dialect, its blocks, its records, its cells.

mod blocks;
mod builder;
mod decode;
mod dialect;
mod marks;
mod split;
mod tokenizer;

pub(crate) use blocks::{BlockError, TextBlock, TextBlocks, lines_of};
pub(crate) use builder::Builder;
pub(crate) use decode::{CellType, Column, Decoder, RowReject};
pub(crate) use dialect::{CONVERT, Dialect, Sniffed, sniff};
pub(crate) use tokenizer::{Cell, QuoteFault, Record, Tokenizer};
