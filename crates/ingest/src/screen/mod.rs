//! Identifiers in columns, looked for before anything is stored.
//!
//! Resident registration numbers, telephone numbers and e-mail addresses are looked for in every text column but
//! those of vocabularies; the numbers in columns of numbers that the model does not have, too, and in those of persons;
//! names of persons in columns that may hold them. What is found is counted by column and
//! never kept. A delivery with such columns is refused until it is told what to do with each.

mod names;
mod numbers;
mod plain;
mod whole;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::DataType;
use columna_model::{IdentifierClass, TableKind};

use crate::engine::REJECTS;
use crate::findings::{Finding, FindingKind};
use crate::options::IngestOptions;
use crate::reader::{Decoded, Target};
use crate::{Error, Result};

/// Texts shorter than this hold none of what is looked for: `a@b.co` is among the shortest.
const SHORTEST: usize = 6;
/// Fewer digits than in a telephone number.
const FEWEST_DIGITS: u32 = 9;
/// Those of a registration number that is masked behind the sex.
const MASKED_DIGITS: u32 = 7;
/// Names and bare digits are a matter of how many texts of a column look so.
const SHARE_OF_NAMES: f64 = 0.1;
const SHARE_OF_BARE_NUMBERS: f64 = 0.5;

/// Kinds of identifiers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum IdentifierKind {
    /// A Korean resident registration number.
    ResidentRegistration,
    /// A telephone number.
    Telephone,
    /// An e-mail address.
    Email,
    /// A person's name.
    Name,
}

impl fmt::Display for IdentifierKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ResidentRegistration => "resident registration numbers",
            Self::Telephone => "telephone numbers",
            Self::Email => "e-mail addresses",
            Self::Name => "names of persons",
        })
    }
}

/// A column that holds identifiers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentifierColumn {
    /// The table.
    pub table: String,
    /// The column.
    pub column: String,
    /// What was found.
    pub kind: IdentifierKind,
    /// In how many rows.
    pub count: u64,
}

impl fmt::Display for IdentifierColumn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}.{}: {} in {} {}",
            self.table,
            self.column,
            self.kind,
            self.count,
            if self.count == 1 { "row" } else { "rows" }
        )
    }
}

/// How a column may hold names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Names {
    No,
    /// Whole names.
    Whole,
    /// A part of one is enough: the column says so.
    Parts,
}

/// What a column is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Texts,
    /// Numbers, which may be telephone numbers or not.
    Numbers {
        telephones: bool,
    },
}

/// A column's counts.
#[derive(Debug)]
struct Column {
    table: String,
    name: String,
    at: usize,
    names: Names,
    kind: Kind,
    texts: AtomicU64,
    counts: [AtomicU64; COUNTS],
}

const COUNTS: usize = 7;
const REGISTRATION: usize = 0;
const BARE_REGISTRATION: usize = 1;
const CHECKS: usize = 2;
const TELEPHONE: usize = 3;
const BARE_TELEPHONE: usize = 4;
const EMAIL: usize = 5;
const NAME: usize = 6;

/// Looks through rows on their way to the store.
#[derive(Debug)]
pub(crate) struct Screen {
    /// Columns to look through, by target.
    targets: Vec<Vec<Column>>,
    /// Rows that cannot be stored are kept as they stand.
    rejects: Column,
}

impl Screen {
    pub(crate) fn new(targets: &[Target]) -> Self {
        Self {
            targets: targets.iter().map(columns).collect(),
            rejects: Column::new(REJECTS, "row", 0, Names::No, Kind::Texts),
        }
    }

    /// Looks through decoded rows.
    pub(crate) fn look(&self, decoded: &Decoded) {
        for rows in &decoded.rows {
            for column in self.targets.get(rows.target).into_iter().flatten() {
                column.look(&rows.batch);
            }
        }
        let mut seen = [0; COUNTS];
        for reject in &decoded.rejects {
            look_at(&reject.raw, true, Names::No, &mut seen);
        }
        self.rejects.add(decoded.rejects.len() as u64, seen);
    }

    /// What was found: what is to be stored all the same, as findings.
    ///
    /// # Errors
    /// When a column holds identifiers and the options do not allow it.
    pub(crate) fn verdict(&self, options: &IngestOptions) -> Result<Vec<Finding>> {
        let found: Vec<IdentifierColumn> = self
            .targets
            .iter()
            .flatten()
            .chain([&self.rejects])
            .flat_map(Column::found)
            .collect();
        let (allowed, refused): (Vec<_>, Vec<_>) = found
            .into_iter()
            .partition(|found| named(&options.allow_identifiers, &found.table, &found.column));
        if !refused.is_empty() {
            return Err(Error::Identifiers { columns: refused });
        }
        let finding = |found: IdentifierColumn| Finding {
            detail: format!("rows hold {}: stored as told", found.kind),
            table: found.table,
            column: Some(found.column),
            kind: FindingKind::Identifier,
            count: found.count,
        };
        Ok(allowed.into_iter().map(finding).collect())
    }
}

/// Whether a list names a column, as `TABLE.COLUMN` or `COLUMN`.
pub(crate) fn named(list: &[String], table: &str, column: &str) -> bool {
    list.iter().any(|name| match name.split_once('.') {
        Some((t, c)) => t.eq_ignore_ascii_case(table) && c.eq_ignore_ascii_case(column),
        None => name.eq_ignore_ascii_case(column),
    })
}

fn columns(target: &Target) -> Vec<Column> {
    let spec = &target.spec;
    let kind = target.def.map(|def| def.kind);
    if matches!(kind, Some(TableKind::Vocabulary | TableKind::Metadata)) {
        return Vec::new();
    }
    let fields = spec.schema.fields().iter().enumerate();
    fields
        .filter_map(|(at, field)| {
            let known = target.def.and_then(|def| def.column(field.name()));
            if whole::is_number(field.data_type()) {
                // The model's own numbers are concepts, amounts and records; persons may come by any number.
                let looked_at = known.is_none_or(|known| {
                    known.class == IdentifierClass::Direct && *field.data_type() == DataType::Int64
                });
                let kind = Kind::Numbers {
                    telephones: known.is_none(),
                };
                let column = Column::new(&spec.name, field.name(), at, Names::No, kind);
                return looked_at.then_some(column);
            }
            if !matches!(
                field.data_type(),
                DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
            ) {
                return None;
            }
            let names = match known {
                // OMOP has places for names of clinicians and of things, and one for a patient's number.
                Some(known)
                    if known.class == IdentifierClass::Direct
                        && spec.person_key.is_some()
                        && field.name().ends_with("_source_value") =>
                {
                    Names::Whole
                }
                // A plain name in a table of no persons is that of a payer, a ward, a place.
                None if spec.person_key.is_some() || !field.name().eq_ignore_ascii_case("name") => {
                    names::of_column(field.name())
                }
                _ => Names::No,
            };
            Some(Column::new(
                &spec.name,
                field.name(),
                at,
                names,
                Kind::Texts,
            ))
        })
        .collect()
}

impl Column {
    fn new(table: &str, name: &str, at: usize, names: Names, kind: Kind) -> Self {
        Self {
            table: table.to_owned(),
            name: name.to_owned(),
            at,
            names,
            kind,
            texts: AtomicU64::new(0),
            counts: Default::default(),
        }
    }

    fn add(&self, texts: u64, seen: [u64; COUNTS]) {
        if texts > 0 {
            self.texts.fetch_add(texts, Ordering::Relaxed);
        }
        for (count, seen) in self.counts.iter().zip(seen) {
            if seen > 0 {
                count.fetch_add(seen, Ordering::Relaxed);
            }
        }
    }

    fn look(&self, batch: &RecordBatch) {
        let values: &ArrayRef = batch.column(self.at);
        let texts = (values.len() - values.null_count()) as u64;
        if texts == 0 {
            return;
        }
        let mut seen = [0; COUNTS];
        if let Kind::Numbers { telephones } = self.kind {
            whole::look(values.as_ref(), telephones, &mut seen);
            self.add(texts, seen);
            return;
        }
        match values.data_type() {
            DataType::Utf8 => {
                let strings = values.as_string::<i32>();
                let has_at = may_have_at(strings.value_data());
                strings
                    .iter()
                    .flatten()
                    .for_each(|text| look_at(text, has_at, self.names, &mut seen));
            }
            DataType::LargeUtf8 => {
                let strings = values.as_string::<i64>();
                strings
                    .iter()
                    .flatten()
                    .for_each(|text| look_at(text, true, self.names, &mut seen));
            }
            DataType::Utf8View => {
                let strings = values.as_string_view();
                strings
                    .iter()
                    .flatten()
                    .for_each(|text| look_at(text, true, self.names, &mut seen));
            }
            _ => return,
        }
        self.add(texts, seen);
    }

    fn found(&self) -> Vec<IdentifierColumn> {
        let count = |at: usize| self.counts[at].load(Ordering::Relaxed);
        let texts = self.texts.load(Ordering::Relaxed);
        #[expect(
            clippy::cast_precision_loss,
            reason = "shares are compared, not counted"
        )]
        let is_share =
            |part: u64, of: u64, share: f64| part > 0 && part as f64 >= share * of as f64;
        let mut registrations = count(REGISTRATION);
        // Any numbers have a few that look so; a column of registration numbers has nothing else.
        let least = if self.kind == Kind::Texts {
            0.0
        } else {
            SHARE_OF_BARE_NUMBERS
        };
        // Of thirteen digits by chance, one in ten checks.
        if is_share(count(BARE_REGISTRATION), texts, least)
            && is_share(
                count(CHECKS),
                count(BARE_REGISTRATION),
                SHARE_OF_BARE_NUMBERS,
            )
        {
            registrations += count(BARE_REGISTRATION);
        }
        let mut telephones = count(TELEPHONE);
        if is_share(count(BARE_TELEPHONE), texts, SHARE_OF_BARE_NUMBERS) {
            telephones += count(BARE_TELEPHONE);
        }
        let names = if is_share(count(NAME), texts, SHARE_OF_NAMES) {
            count(NAME)
        } else {
            0
        };
        [
            (IdentifierKind::ResidentRegistration, registrations),
            (IdentifierKind::Telephone, telephones),
            (IdentifierKind::Email, count(EMAIL)),
            (IdentifierKind::Name, names),
        ]
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(kind, count)| IdentifierColumn {
            table: self.table.clone(),
            column: self.name.clone(),
            kind,
            count,
        })
        .collect()
    }
}

fn look_at(text: &str, may_have_at: bool, names: Names, seen: &mut [u64; COUNTS]) {
    let text = &*plain::plain(text);
    if names != Names::No && names::looks_like_name(text, names == Names::Parts) {
        seen[NAME] += 1;
    }
    let bytes = text.as_bytes();
    if bytes.len() < SHORTEST {
        return;
    }
    if may_have_at && has_address(bytes) {
        seen[EMAIL] += 1;
    }
    let digits: u32 = bytes
        .iter()
        .map(|byte| u32::from(byte.is_ascii_digit()))
        .sum();
    let masked = digits >= MASKED_DIGITS && bytes.contains(&b'*');
    if digits < FEWEST_DIGITS && !masked {
        return;
    }
    let found = numbers::numbers(bytes);
    for (at, found) in [
        (REGISTRATION, found.registration),
        (BARE_REGISTRATION, found.bare_registration),
        (CHECKS, found.checks),
        (TELEPHONE, found.telephone),
        (BARE_TELEPHONE, found.bare_telephone),
    ] {
        seen[at] += u64::from(found);
    }
}

/// Whether bytes have an `@`, or its full-width form.
fn may_have_at(bytes: &[u8]) -> bool {
    memchr::memchr(b'@', bytes).is_some()
        || memchr::memmem::find(bytes, "\u{ff20}".as_bytes()).is_some()
}

/// `local@domain.tld`.
fn has_address(text: &[u8]) -> bool {
    memchr::memchr_iter(b'@', text).any(|at| {
        let local = text[..at]
            .last()
            .is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'+'));
        let domain: &[u8] = &text[at + 1..];
        let end = domain
            .iter()
            .position(|byte| !(byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-')))
            .unwrap_or(domain.len());
        let domain = &domain[..end];
        let Some(dot) = memchr::memrchr(
            b'.',
            domain.trim_ascii_end().strip_suffix(b".").unwrap_or(domain),
        ) else {
            return false;
        };
        let top = domain[dot + 1..]
            .strip_suffix(b".")
            .unwrap_or(&domain[dot + 1..]);
        local && dot > 0 && top.len() >= 2 && top.iter().all(u8::is_ascii_alphabetic)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for text in [
            "kim@example.com",
            "write to a.b-c+d@mail.example.co.kr.",
            "<x@y.org>",
        ] {
            assert!(has_address(text.as_bytes()), "{text}");
        }
        for text in ["5 mg @ 8 h", "a@b", "@home.de", "10@4.5", "x@.com"] {
            assert!(!has_address(text.as_bytes()), "{text}");
        }
    }

    #[test]
    #[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    fn full_width_addresses() {
        let values = [
            "kim\u{ff20}example.com",
            "ｋｉｍ\u{ff20}ｅｘａｍｐｌｅ．ｃｏｍ",
        ];
        let texts = arrow::array::StringArray::from(values.to_vec());
        let rows = RecordBatch::try_from_iter([("memo", std::sync::Arc::new(texts) as ArrayRef)]);
        let column = Column::new("note", "memo", 0, Names::No, Kind::Texts);
        column.look(&rows.unwrap());
        let found = column.found();
        assert_eq!(
            found.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["note.memo: e-mail addresses in 2 rows"]
        );
        assert!(!may_have_at("고혈압, 당뇨".as_bytes()));
    }

    #[test]
    fn columns_by_name() {
        let list = ["phone".to_owned(), "person.Memo".to_owned()];
        assert!(named(&list, "note", "PHONE") && named(&list, "person", "memo"));
        assert!(!named(&list, "note", "memo"));
    }
}
