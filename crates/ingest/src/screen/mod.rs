//! Identifiers in columns, looked for before anything is stored.
//!
//! Resident registration numbers, telephone numbers and e-mail addresses are looked for in every text column but
//! those of vocabularies; the numbers in columns of numbers that the model does not have, too, and in those of persons;
//! names of persons in columns that may hold them. What is found is counted by column and
//! never kept. A delivery with such columns is refused until it is told what to do with each. Names of tables and columns
//! that the model does not have must hold none.

mod email;
mod groups;
mod names;
mod numbers;
mod plain;
mod registration;
mod telephone;
mod titles;
mod whole;

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

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
/// Names and bare digits are a matter of how many texts of a column look so.
const SHARE_OF_NAMES: f64 = 0.1;
const SHARE_OF_LIKELY_NAMES: f64 = 0.5;
const SHARE_OF_BARE_NUMBERS: f64 = 0.5;
/// Of numbers that are all of persons, nearly all fit somebody; of codes of the same shape, about half.
const SHARE_OF_FITTING: f64 = 0.9;
/// Of so many that fit, not all do by chance; fewer are found where they are a share of the column.
const MANY: u64 = 10;
const SHARE_OF_WRITTEN: f64 = 0.1;

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
    /// Whole names in most of its texts: the column's name alone says little.
    Likely,
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
    /// Its name says that it holds registration numbers, or parts of them.
    registrations: bool,
    texts: AtomicU64,
    counts: [AtomicU64; COUNTS],
}

const COUNTS: usize = 21;
const REGISTRATION: usize = 0;
const BARE_REGISTRATION: usize = 1;
const CHECKS: usize = 2;
const TELEPHONE: usize = 3;
const BARE_TELEPHONE: usize = 4;
const EMAIL: usize = 5;
const NAME: usize = 6;
const PARTIAL_REGISTRATION: usize = 7;
/// Numbers as they are written, three counts for each shape: how many are alike, how many fit somebody, how many check.
const WRITTEN_REGISTRATION: [usize; registration::SHAPES] = [8, 11, 14];
const AMERICAN: usize = 17;
const PART_OF_REGISTRATION: usize = 20;

/// Looks through rows on their way to the store.
#[derive(Debug)]
pub(crate) struct Screen {
    /// Columns to look through, by target.
    targets: Vec<Looked>,
    /// Rows that cannot be stored are kept as they stand.
    rejects: Column,
}

/// What is looked at of a target.
#[derive(Debug)]
struct Looked {
    columns: Vec<Column>,
    /// What is wrong with its names, if any rows come.
    titles: Option<String>,
    has_rows: AtomicBool,
}

impl Looked {
    fn new(target: &Target) -> Self {
        Self {
            columns: columns(target),
            titles: titles::check(target),
            has_rows: AtomicBool::new(false),
        }
    }
}

impl Screen {
    pub(crate) fn new(targets: &[Target]) -> Self {
        Self {
            targets: targets.iter().map(Looked::new).collect(),
            rejects: Column::new(REJECTS, "row", 0, Names::No, Kind::Texts),
        }
    }

    /// Looks through decoded rows.
    pub(crate) fn look(&self, decoded: &Decoded) {
        for rows in &decoded.rows {
            if let Some(looked) = self.targets.get(rows.target) {
                looked.has_rows.store(true, Ordering::Relaxed);
                for column in &looked.columns {
                    column.look(&rows.batch);
                }
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
    /// When a column holds identifiers and the options do not allow it, or the name of a table or column holds one.
    pub(crate) fn verdict(&self, options: &IngestOptions) -> Result<Vec<Finding>> {
        let stored = self.targets.iter();
        let mut stored = stored.filter(|looked| looked.has_rows.load(Ordering::Relaxed));
        if let Some(what) = stored.find_map(|looked| looked.titles.clone()) {
            return Err(Error::Treatment { what });
        }
        let columns = || {
            let stored = self.targets.iter().flat_map(|looked| &looked.columns);
            stored.chain([&self.rejects])
        };
        let found: Vec<IdentifierColumn> = columns().flat_map(Column::found).collect();
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
        let doubtful = columns()
            .filter(|column| !named(&options.allow_identifiers, &column.table, &column.name))
            .flat_map(Column::doubts);
        Ok(allowed.into_iter().map(finding).chain(doubtful).collect())
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
                None => names::of_own(&spec.name, spec.person_key.is_some(), field.name()),
                Some(_) => Names::No,
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
            registrations: registration::is_column_of(name),
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
            let looked = whole::Looked {
                telephones,
                parts: self.registrations,
            };
            whole::look(values.as_ref(), looked, &mut seen);
            self.add(texts, seen);
            return;
        }
        match values.data_type() {
            DataType::Utf8 => {
                let strings = values.as_string::<i32>();
                let has_at = email::may_have_at(strings.value_data());
                strings
                    .iter()
                    .flatten()
                    .for_each(|text| self.look_at(text, has_at, &mut seen));
            }
            DataType::LargeUtf8 => {
                let strings = values.as_string::<i64>();
                strings
                    .iter()
                    .flatten()
                    .for_each(|text| self.look_at(text, true, &mut seen));
            }
            DataType::Utf8View => {
                let strings = values.as_string_view();
                strings
                    .iter()
                    .flatten()
                    .for_each(|text| self.look_at(text, true, &mut seen));
            }
            _ => return,
        }
        self.add(texts, seen);
    }

    fn look_at(&self, text: &str, may_have_at: bool, seen: &mut [u64; COUNTS]) {
        look_at(text, may_have_at, self.names, seen);
        if self.registrations && registration::is_part(&plain::plain(text)) {
            seen[PART_OF_REGISTRATION] += 1;
        }
    }

    fn count(&self, at: usize) -> u64 {
        self.counts[at].load(Ordering::Relaxed)
    }

    /// How many numbers of a shape are of persons, and how many more may be.
    ///
    /// One that is alike may be a code. Those of persons check, or there are several, and hardly one fits nobody; where no digit
    /// can check, one is enough.
    fn written(&self, shape: usize) -> (u64, u64) {
        let at = WRITTEN_REGISTRATION[shape];
        let (alike, fit, check) = (self.count(at), self.count(at + 1), self.count(at + 2));
        let texts = self.texts.load(Ordering::Relaxed);
        let several =
            shape == registration::RANDOM || fit >= MANY || is_share(fit, texts, SHARE_OF_WRITTEN);
        let nearly_all = is_share(fit, alike, SHARE_OF_FITTING);
        if is_share(check, alike, SHARE_OF_BARE_NUMBERS) || (several && nearly_all) {
            (fit.max(check), 0)
        } else if nearly_all {
            (0, fit)
        } else {
            (0, 0)
        }
    }

    /// What is too little to refuse the delivery for, and worth a look.
    fn doubts(&self) -> Vec<Finding> {
        let shapes = (0..registration::SHAPES).map(|shape| self.written(shape).1);
        let found = self.found();
        let doubts = [
            (IdentifierKind::ResidentRegistration, shapes.sum()),
            (IdentifierKind::Telephone, self.count(BARE_TELEPHONE)),
        ];
        let doubts = doubts
            .into_iter()
            .filter(|(kind, count)| *count > 0 && !found.iter().any(|found| found.kind == *kind));
        let finding = |(kind, count)| Finding {
            table: self.table.clone(),
            column: Some(self.name.clone()),
            kind: FindingKind::Identifier,
            count,
            detail: format!(
                "rows may hold {kind}: look at them, and leave the column out with `--drop-column` if they do"
            ),
        };
        doubts.map(finding).collect()
    }

    fn found(&self) -> Vec<IdentifierColumn> {
        let count = |at: usize| self.count(at);
        let texts = self.texts.load(Ordering::Relaxed);
        let written = (0..registration::SHAPES).map(|shape| self.written(shape).0);
        let mut registrations = count(REGISTRATION) + written.sum::<u64>();
        // Any numbers have a few that look so; a column of registration numbers has nothing else.
        let least = if self.kind == Kind::Texts {
            0.0
        } else {
            SHARE_OF_BARE_NUMBERS
        };
        if is_share(count(PART_OF_REGISTRATION), texts, SHARE_OF_BARE_NUMBERS) {
            registrations += count(PART_OF_REGISTRATION);
        } else if is_share(count(BARE_REGISTRATION), texts, least)
            // Of thirteen digits by chance, one in ten checks.
            && is_share(
                count(CHECKS),
                count(BARE_REGISTRATION),
                SHARE_OF_BARE_NUMBERS,
            )
        {
            registrations += count(BARE_REGISTRATION);
        }
        if is_share(count(PARTIAL_REGISTRATION), texts, SHARE_OF_BARE_NUMBERS) {
            registrations += count(PARTIAL_REGISTRATION);
        }
        let mut telephones = count(TELEPHONE);
        if is_share(count(AMERICAN + 1), count(AMERICAN), SHARE_OF_FITTING) {
            telephones += count(AMERICAN + 1);
        }
        if is_share(count(BARE_TELEPHONE), texts, SHARE_OF_BARE_NUMBERS) {
            telephones += count(BARE_TELEPHONE);
        }
        let least = match self.names {
            Names::Likely => SHARE_OF_LIKELY_NAMES,
            _ => SHARE_OF_NAMES,
        };
        let names = if is_share(count(NAME), texts, least) {
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

/// Whether there is a part, and it is such a share of all.
#[expect(
    clippy::cast_precision_loss,
    reason = "shares are compared, not counted"
)]
fn is_share(part: u64, of: u64, share: f64) -> bool {
    part > 0 && part as f64 >= share * of as f64
}

fn look_at(text: &str, may_have_at: bool, names: Names, seen: &mut [u64; COUNTS]) {
    let text = &*plain::plain(text);
    seen[NAME] += u64::from(names::is_name(text, names));
    let bytes = text.as_bytes();
    if bytes.len() < SHORTEST {
        return;
    }
    seen[EMAIL] += u64::from(may_have_at && email::has_address(text));
    let digits: usize = bytes
        .iter()
        .map(|byte| usize::from(byte.is_ascii_digit()))
        .sum();
    if digits < numbers::FEWEST_DIGITS {
        return;
    }
    let found = numbers::numbers(bytes);
    for (at, found) in [
        (REGISTRATION, found.sure_registration),
        (BARE_REGISTRATION, found.bare_registration),
        (CHECKS, found.checks),
        (
            PARTIAL_REGISTRATION,
            found.partial_registration && !found.registration,
        ),
        (TELEPHONE, found.sure_telephone),
        (BARE_TELEPHONE, found.bare_telephone),
    ] {
        seen[at] += u64::from(found);
    }
    let mut count = |at: usize, written: numbers::Written| {
        for (more, found) in [written.alike, written.fits, written.checks]
            .into_iter()
            .enumerate()
        {
            seen[at + more] += u64::from(found);
        }
    };
    if !found.sure_registration {
        WRITTEN_REGISTRATION
            .into_iter()
            .zip(found.written)
            .for_each(|(at, written)| count(at, written));
    }
    if !found.sure_telephone {
        count(AMERICAN, found.american);
    }
}

#[cfg(test)]
mod found;

#[cfg(test)]
mod tests {
    use super::*;

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
        assert!(!email::may_have_at("고혈압, 당뇨".as_bytes()));
    }

    fn found(names: Names, values: &[&str]) -> Vec<String> {
        let column = Column::new("note", "memo", 0, names, Kind::Texts);
        let mut seen = [0; COUNTS];
        for value in values {
            look_at(value, true, column.names, &mut seen);
        }
        column.add(values.len() as u64, seen);
        column.found().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn birth_and_sex_alone_are_a_matter_of_share() {
        assert_eq!(
            found(Names::No, &["900101-1", "850630-2", "", "100101-4"]),
            ["note.memo: resident registration numbers in 3 rows"]
        );
        let counted = found(Names::No, &["900101-1******", "quiet", "quiet", "quiet"]);
        assert_eq!(
            counted,
            ["note.memo: resident registration numbers in 1 row"]
        );
        for values in [
            ["900101-1", "type 2", "4548-4", "100101-8"],
            ["240101-1", "240101-2", "240102-1", "240102-3"],
            ["100019-8", "100101-5", "100102-3", "100103-1"],
        ] {
            assert_eq!(
                found(Names::No, &values),
                Vec::<String>::new(),
                "{values:?}"
            );
        }
    }

    #[test]
    fn likely_names_are_a_matter_of_share() {
        let names = ["김철수", "이영희", "박민준 교수", "정상"];
        assert_eq!(found(Names::Likely, &names).len(), 1);
        let others = ["김철수", "정상", "Internal Medicine", "12.5"];
        assert_eq!(found(Names::Likely, &others), Vec::<String>::new());
        assert_eq!(found(Names::Whole, &others).len(), 1);
    }

    #[test]
    fn no_column_of_the_model_is_a_name_by_its_own_name_alone() {
        use columna_model::CdmVersion::{V5_3, V5_4};
        let tables = [V5_3, V5_4].into_iter().flat_map(columna_model::tables);
        let columns = tables.flat_map(|table| table.columns);
        for column in columns {
            assert_ne!(
                names::of_column(column.name),
                Names::Likely,
                "{}",
                column.name
            );
        }
    }

    #[test]
    fn columns_by_name() {
        let list = ["phone".to_owned(), "person.Memo".to_owned()];
        assert!(named(&list, "note", "PHONE") && named(&list, "person", "memo"));
        assert!(!named(&list, "note", "memo"));
    }
}
