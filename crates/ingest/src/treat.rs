//! What is done to rows between a reader and everything else: nothing that is left out reaches memory of the engine,
//! a temporary file or the store.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, new_null_array};
use arrow::datatypes::Schema;
use arrow::error::ArrowError;
use columna_store::{Pseudonymised, Snapshot, TableSpec};

use crate::findings::{Finding, FindingKind};
use crate::reader::{Block, Decoded, Input, Reader, Target, TargetRows};
use crate::screen::named;
use crate::{Error, Result};

/// What becomes of columns that are not stored.
const ABSENT: &str = "absent";

/// What is done to tables before they are stored, such as pseudonymisation by a policy.
pub trait Treatment: Debug + Send + Sync {
    /// What is done to a table; `None` leaves its rows out.
    ///
    /// # Errors
    /// Why the table cannot be treated, and what to do.
    fn table(&self, spec: &TableSpec) -> Result<Option<Arc<dyn TableTreatment>>, String>;

    /// Asked of all tables of a delivery before any is treated.
    ///
    /// # Errors
    /// What does not fit them, and what to do.
    fn fits(&self, _: &[&TableSpec]) -> Result<(), String> {
        Ok(())
    }

    /// Key and settings, by which the store knows later deliveries that are treated alike. Without tables.
    fn made_with(&self) -> Pseudonymised {
        Pseudonymised::default()
    }

    /// What the store knows a delivered file by, of its hash: whoever has no key must not find a file's text by hashing what it
    /// could be.
    fn fingerprint(&self, hash: String) -> String {
        hash
    }
}

/// What is done to the rows of a table.
pub trait TableTreatment: Debug + Send + Sync {
    /// Whether a column's values are kept in some form.
    fn keeps(&self, column: &str) -> bool;

    /// What becomes of a column, in a word.
    fn rule(&self, column: &str) -> String {
        if self.keeps(column) { "kept" } else { ABSENT }.to_owned()
    }

    /// A column as it is to be stored, one value for each row and of the same type.
    ///
    /// # Errors
    /// When the column is not what was announced.
    fn column(&self, rows: &RecordBatch, column: &str) -> Result<ArrayRef, ArrowError>;
}

/// A reader whose rows are treated.
#[derive(Debug)]
pub(crate) struct TreatedReader {
    inner: Arc<dyn Reader>,
    /// Under names that tell nothing, where rows are treated: hospitals name files after patients, too.
    inputs: Vec<Input>,
    targets: Vec<Target>,
    ways: Vec<Way>,
    /// Rejected rows are kept without their text.
    blanks_rejects: bool,
    /// Their persons are not those of the store.
    renames_persons: bool,
    made_with: Option<Pseudonymised>,
    treatment: Option<Arc<dyn Treatment>>,
}

#[derive(Debug)]
enum Way {
    AsRead,
    LeftOut,
    Treated {
        table: Option<Arc<dyn TableTreatment>>,
        dropped: Vec<String>,
    },
}

impl TreatedReader {
    /// # Errors
    /// When a table cannot be treated, or a column that is to be dropped is needed.
    pub(crate) fn new(
        inner: Arc<dyn Reader>,
        treatment: Option<Arc<dyn Treatment>>,
        drop: &[String],
    ) -> Result<Self> {
        if let Some(treatment) = &treatment {
            let tables = inner.targets().iter().map(|target| &target.spec);
            let fits = treatment.fits(&tables.collect::<Vec<_>>());
            fits.map_err(|what| Error::Treatment { what })?;
        }
        let mut targets = Vec::new();
        let mut ways = Vec::new();
        let mut made_with = treatment.as_ref().map(|treatment| treatment.made_with());
        for target in inner.targets() {
            let stored = &target.spec;
            let (target, way) = treat(target, treatment.as_deref(), drop)?;
            if let Some(made_with) = &mut made_with {
                let rules = stored.schema.fields().iter().map(|field| {
                    let rule = match &way {
                        Way::Treated {
                            table: Some(table), ..
                        } => table.rule(field.name()),
                        _ => ABSENT.to_owned(),
                    };
                    (field.name().clone(), rule)
                });
                // What only the hospital has may be named after a patient: nothing is left of it, its name neither.
                let known = |name: &str| target.def.is_some_and(|def| def.column(name).is_some());
                let rules = rules.filter(|(name, rule)| rule != ABSENT || known(name));
                let rules: BTreeMap<_, _> = rules.collect();
                if !rules.is_empty() {
                    made_with.tables.insert(stored.name.clone(), rules);
                }
            }
            targets.push(target);
            ways.push(way);
        }
        // Any of a file's rows may hold what is dropped of one of its tables.
        let drops = |way: &Way| matches!(way, Way::Treated { dropped, .. } if !dropped.is_empty());
        let blanks_rejects = treatment.is_some()
            || ways.iter().any(drops)
            || named(drop, crate::engine::REJECTS, "row");
        let mut inputs = inner.inputs().to_vec();
        if treatment.is_some() {
            rename(&mut inputs, |home| is_unknown(&targets, &ways, home));
        }
        Ok(Self {
            inner,
            inputs,
            targets,
            ways,
            blanks_rejects,
            renames_persons: treatment.is_some(),
            made_with,
            treatment,
        })
    }

    /// What the store's rows are pseudonymised with when this reader's are among them.
    ///
    /// # Errors
    /// When the rows that are there were not treated alike.
    pub(crate) fn together(&self, base: &Snapshot) -> Result<Option<Pseudonymised>> {
        let Some(made_with) = &self.made_with else {
            return Ok(None);
        };
        let together = match base.pseudonymised() {
            Some(before) => before
                .and(made_with)
                .map_err(|how| format!("this store is pseudonymised, and {how}; pseudonymise this delivery with the key \
                    and the policy of the earlier ones, or into another store"))
                .map_err(|what| Error::Treatment { what })?,
            None if base.rows() > 0 => {
                let what = "this store has rows that were not pseudonymised, and pseudonymised ones do not go beside \
                            them: choose another store";
                return Err(Error::Treatment {
                    what: what.to_owned(),
                });
            }
            None => made_with.clone(),
        };
        Ok(Some(together))
    }

    fn rows(&self, rows: TargetRows, table: Option<&dyn TableTreatment>) -> Result<TargetRows> {
        let spec = &self.targets[rows.target].spec;
        let failed = |error| Error::arrow(&spec.name, error);
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(spec.schema.fields().len());
        let Way::Treated { dropped, .. } = &self.ways[rows.target] else {
            return Ok(rows);
        };
        for field in spec.schema.fields() {
            let name = field.name();
            let kept = !dropped.contains(name) && table.is_none_or(|table| table.keeps(name));
            columns.push(if !kept {
                new_null_array(field.data_type(), rows.batch.num_rows())
            } else if let Some(table) = table {
                table.column(&rows.batch, name).map_err(failed)?
            } else {
                let at = rows.batch.schema().index_of(name).map_err(failed)?;
                Arc::clone(rows.batch.column(at))
            });
        }
        let batch = RecordBatch::try_new(Arc::clone(&spec.schema), columns).map_err(failed)?;
        Ok(TargetRows { batch, ..rows })
    }
}

/// Whether a table is only the hospital's, which may have named it after a patient, and left out.
fn is_unknown(targets: &[Target], ways: &[Way], target: usize) -> bool {
    matches!(ways[target], Way::LeftOut) && targets[target].def.is_none()
}

/// Names files by their table and a number; their hashes tell them apart in the store.
fn rename(inputs: &mut [Input], is_unknown: impl Fn(usize) -> bool) {
    let mut parts: BTreeMap<String, usize> = BTreeMap::new();
    for input in inputs {
        let table = match is_unknown(input.home) {
            true => "left_out",
            false => input.table.as_str(),
        };
        let part = parts.entry(table.to_owned()).or_default();
        *part += 1;
        input.file.name = format!("{table}/{part}");
    }
}

fn treat(
    target: &Target,
    treatment: Option<&dyn Treatment>,
    drop: &[String],
) -> Result<(Target, Way)> {
    let spec = &target.spec;
    let table = match treatment {
        None => None,
        Some(treatment) => match treatment
            .table(spec)
            .map_err(|what| Error::Treatment { what })?
        {
            None => return Ok((target.clone(), Way::LeftOut)),
            Some(table) => Some(table),
        },
    };
    let names = spec
        .schema
        .fields()
        .iter()
        .map(|field| field.name().clone());
    let dropped: Vec<String> = names.filter(|name| named(drop, &spec.name, name)).collect();
    if table.is_none() && dropped.is_empty() {
        return Ok((target.clone(), Way::AsRead));
    }
    if let Some(needed) = dropped.iter().find(|name| spec.sort.contains(name)) {
        return Err(Error::Treatment {
            what: format!(
                "column `{needed}` of table `{}` cannot be dropped: its rows are ordered by it",
                spec.name
            ),
        });
    }
    let hidden =
        |name: &String| dropped.contains(name) || table.as_ref().is_some_and(|t| !t.keeps(name));
    let mut changed = target.clone();
    // A column that the model does not have goes as a whole; one of the model is there and empty.
    let fields = spec.schema.fields().iter().filter(|field| {
        !hidden(field.name())
            || target
                .def
                .is_some_and(|def| def.column(field.name()).is_some())
    });
    let fields: Vec<_> = fields
        .map(|field| {
            if hidden(field.name()) {
                field.as_ref().clone().with_nullable(true)
            } else {
                field.as_ref().clone()
            }
        })
        .collect();
    changed.spec.schema = Arc::new(Schema::new(fields));
    let has = |name: &String| changed.spec.schema.index_of(name).is_ok();
    changed.spec.sort.retain(has);
    changed.spec.bloom.retain(has);
    changed.extra_columns.retain(has);
    Ok((changed, Way::Treated { table, dropped }))
}

impl Reader for TreatedReader {
    fn format(&self) -> String {
        self.inner.format()
    }

    fn targets(&self) -> &[Target] {
        &self.targets
    }

    fn inputs(&self) -> &[Input] {
        &self.inputs
    }

    fn findings(&self) -> Vec<Finding> {
        self.inner.findings()
    }

    fn decode(&self, input: usize, block: &Block) -> Result<Decoded> {
        let mut decoded = self.inner.decode(input, block)?;
        let home = self.inner.inputs()[input].home;
        if matches!(self.ways[home], Way::LeftOut) {
            decoded.read -= decoded.rejects.len() as u64;
            decoded.rejects.clear();
        }
        if self.blanks_rejects {
            for reject in &mut decoded.rejects {
                reject.raw.clear();
            }
        }
        if self.renames_persons {
            decoded
                .rejects
                .iter_mut()
                .for_each(|reject| reject.person = None);
        }
        let mut kept = Vec::with_capacity(decoded.rows.len());
        for rows in std::mem::take(&mut decoded.rows) {
            match &self.ways[rows.target] {
                Way::AsRead => kept.push(rows),
                Way::LeftOut => {
                    let count = rows.batch.num_rows() as u64;
                    let table = &self.targets[rows.target].spec.name;
                    decoded
                        .findings
                        .push(Finding::new(table, None, FindingKind::LeftOut, count));
                    if !rows.derived {
                        decoded.read -= count;
                    }
                }
                Way::Treated { table, .. } => kept.push(self.rows(rows, table.as_deref())?),
            }
        }
        decoded.rows = kept;
        Ok(decoded)
    }

    fn is_stored(&self, target: usize) -> bool {
        !is_unknown(&self.targets, &self.ways, target)
    }

    fn fingerprint(&self, hash: String) -> String {
        match &self.treatment {
            Some(treatment) => treatment.fingerprint(hash),
            None => hash,
        }
    }
}
