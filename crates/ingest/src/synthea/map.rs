//! A block of a source file into rows of its tables.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::RecordBatch;

use super::bind::Bound;
use super::columns::Columns;
use super::evaluate::{Context, Evaluation, Notes, Refusal, Value};
use super::header::Row;
use super::identifiers::asks_for_identifier;
use super::mapping::Entity;
use super::plan::{FilePlan, Plan, TargetPlan};
use crate::csv::{Cell, QuoteFault, Record, RowReject, TextBlock, Tokenizer, lines_of};
use crate::parse::Fault;
use crate::{Error, Result};

/// Room for the numbers of a file's rows where a table comes in several files: more than any file has.
const ROWS_PER_PART: u64 = 1 << 32;

/// What stands in a rejected row for what identifies a person.
const LEFT_OUT: &str = "[left out]";

/// What a block becomes.
#[derive(Debug, Default)]
pub(super) struct Mapped {
    /// Records of the block.
    pub(super) read: u64,
    /// The tables, by their position in the plan, whose rows were made beside the record's own.
    pub(super) beside: BTreeSet<usize>,
    /// The rows, by table.
    pub(super) batches: Vec<(usize, RecordBatch)>,
    /// Records that are in no table.
    pub(super) rejects: Vec<RowReject>,
    pub(super) notes: Notes,
}

/// Maps the blocks of one file.
#[derive(Debug)]
pub(super) struct BlockMapper<'a> {
    pub(super) plan: &'a Plan,
    pub(super) file: &'a FilePlan,
    pub(super) delimiter: u8,
    pub(super) context: Context<'a>,
    /// The highest key of each of the plan's tables in the store.
    pub(super) bases: &'a [i64],
    /// Which of its table's files it is: rows are numbered on from one to the next.
    pub(super) part: usize,
}

impl<'a> BlockMapper<'a> {
    /// Maps a block, whose records are numbered.
    pub(super) fn map(&self, block: &TextBlock) -> Result<Mapped> {
        let mut mapped = Mapped::default();
        let mut columns = BTreeMap::new();
        let mut tokenizer = Tokenizer::new(&block.bytes, self.delimiter);
        let mut cells = Vec::with_capacity(self.file.header.names().len());
        let mut main = Vec::new();
        let mut beside = Vec::new();
        let mut counted = (0, block.line);
        let part = u64::try_from(self.part).unwrap_or(u64::MAX);
        let first = part
            .saturating_mul(ROWS_PER_PART)
            .saturating_add(block.record);
        while let Some(record) = tokenizer.next(&mut cells) {
            let number = first + mapped.read;
            mapped.read += 1;
            let row = Row {
                block: &block.bytes,
                cells: &cells,
            };
            let refused = match self.shape_fault(&record, &cells, &block.bytes) {
                Some(fault) => Some(fault),
                None => match self.row(row, number, &mut mapped.notes, &mut main, &mut beside)? {
                    Ok(target) => {
                        self.append(&mut columns, target, &mut main)?;
                        for (table, values) in &mut beside {
                            mapped.beside.insert(*table);
                            self.append(&mut columns, *table, values)?;
                        }
                        None
                    }
                    Err(refusal) => Some((refusal.column, refusal.reason.to_owned())),
                },
            };
            if let Some((column, reason)) = refused {
                let line = counted.1 + lines_of(&block.bytes[counted.0..record.start]);
                counted = (record.start, line);
                mapped.rejects.push(RowReject {
                    line,
                    column: column.map(|at| self.file.header.name(at).to_owned()),
                    reason,
                    raw: self.raw(&record, &row),
                    person: self.person(&row),
                });
            }
            cells.clear();
        }
        for (table, columns) in columns {
            let batch = columns.finish(&self.plan.tables[table])?;
            mapped.batches.push((table, batch));
        }
        Ok(mapped)
    }

    /// Why the record has not the shape of the header.
    fn shape_fault(
        &self,
        record: &Record,
        cells: &[Cell],
        block: &[u8],
    ) -> Option<(Option<usize>, String)> {
        if let Some((fault, at)) = record.fault {
            let reason = match fault {
                QuoteFault::TextAfterQuote => "text after a closing quote",
                QuoteFault::NeverClosed => "a quote that is never closed",
            };
            return Some((Some(at), reason.to_owned()));
        }
        let width = self.file.header.names().len();
        let surplus = cells.get(width..).unwrap_or_default();
        let is_empty = surplus
            .iter()
            .all(|cell| cell.bytes(block).trim_ascii().is_empty());
        (record.cells < width || !is_empty).then(|| {
            (
                None,
                format!("{} cells where the header has {width}", record.cells),
            )
        })
    }

    /// The values of a row in its target, whose table is returned, and of the rows beside it; or why it is refused.
    fn row<'b>(
        &self,
        row: Row<'b, '_>,
        number: u64,
        notes: &mut Notes,
        main: &mut Vec<Value<'b>>,
        beside: &mut Vec<(usize, Vec<Value<'b>>)>,
    ) -> Result<std::result::Result<usize, Refusal>>
    where
        'a: 'b,
    {
        beside.clear();
        notes.begin_row();
        let mut evaluation = Evaluation::new(self.context, row, self.file.defines, notes);
        let chosen = evaluation.target(self.file.route, &self.file.domains);
        let target = self
            .file
            .targets
            .get(chosen)
            .ok_or_else(|| Error::engine("a row has no target"))?;
        if let Err(refusal) = self.values(&mut evaluation, target, number, main) {
            return Ok(Err(refusal));
        }
        // The key is the first column of every table that others refer to.
        if let (Some(Value::Integer(key)), Some(domain)) =
            (main.first(), self.file.domains.get(chosen))
        {
            evaluation.event = (*key, domain);
        }
        for other in &self.file.beside {
            if other.when.is_some_and(|at| row.filled(Some(at)).is_none()) {
                continue;
            }
            let mut values = Vec::with_capacity(other.rules.len());
            if let Err(refusal) = self.values(&mut evaluation, other, number, &mut values) {
                return Ok(Err(refusal));
            }
            beside.push((other.table, values));
        }
        notes.end_row();
        Ok(Ok(target.table))
    }

    fn values<'b>(
        &self,
        evaluation: &mut Evaluation<'b, '_, '_>,
        target: &TargetPlan,
        number: u64,
        values: &mut Vec<Value<'b>>,
    ) -> std::result::Result<(), Refusal> {
        let base = self.bases.get(target.table).copied().unwrap_or(0);
        let number = i64::try_from(number).unwrap_or(i64::MAX);
        evaluation.next_id = number
            .saturating_mul(target.lanes)
            .saturating_add(base + target.lane + 1);
        values.clear();
        let columns = self
            .plan
            .tables
            .get(target.table)
            .map_or(&[][..], |table| &table.columns);
        for (rule, column) in target.rules.iter().zip(columns) {
            let value = evaluation.value(rule, column.data_type)?;
            if column.key && value == Value::Null {
                return Err(Refusal {
                    column: rule.column(),
                    reason: Fault::MissingKey.reason(),
                });
            }
            values.push(value);
        }
        Ok(())
    }

    /// The person of a row that cannot be stored.
    fn person(&self, row: &Row<'_, '_>) -> Option<i64> {
        let rules = self
            .file
            .targets
            .first()
            .map_or(&[][..], |target| &target.rules);
        let at = rules.iter().find_map(|rule| match rule {
            Bound::Ref(Entity::Person, at) => Some(*at),
            _ => None,
        });
        row.filled(at)
            .and_then(|cell| self.context.index.persons.get(&cell))
    }

    /// The row as it stands in the file, without what identifies a person.
    fn raw(&self, record: &Record, row: &Row<'_, '_>) -> String {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let rules = self.file.targets.iter().flat_map(|target| &target.rules);
        let answer = rules.into_iter().find_map(|rule| match rule {
            Bound::Answer(at, Some(code)) => Some((*at, *code)),
            _ => None,
        });
        if self.file.left_out.is_empty() && answer.is_none() {
            return text(&row.block[record.start..record.end]);
        }
        // Without its shape it is not known which of its cells are which.
        if self.shape_fault(record, row.cells, row.block).is_some() {
            return LEFT_OUT.to_owned();
        }
        let asked = answer.filter(|(_, code)| asks_for_identifier(&row.cell(*code)));
        let cell = |at: usize| match row.cell(at) {
            cell if cell.is_empty() => String::new(),
            _ if self.file.left_out.contains(&at)
                || asked.is_some_and(|(value, _)| value == at) =>
            {
                LEFT_OUT.to_owned()
            }
            cell if cell
                .iter()
                .any(|byte| matches!(byte, b'"' | b'\n' | b'\r') || *byte == self.delimiter) =>
            {
                format!("\"{}\"", text(&cell).replace('"', "\"\""))
            }
            cell => text(&cell),
        };
        let cells: Vec<String> = (0..self.file.header.names().len()).map(cell).collect();
        cells.join(char::from(self.delimiter).encode_utf8(&mut [0; 4]))
    }

    fn append(
        &self,
        columns: &mut BTreeMap<usize, Columns>,
        table: usize,
        values: &mut Vec<Value<'_>>,
    ) -> Result<()> {
        let plan = self
            .plan
            .tables
            .get(table)
            .ok_or_else(|| Error::engine("a row of a table that is not planned"))?;
        columns
            .entry(table)
            .or_insert_with(|| Columns::new(plan))
            .append(plan, values)
    }
}
