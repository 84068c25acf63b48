//! The differentially private role: charged before it runs, answered with noise, and alike when asked again.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::SchemaRef;
use arrow::ipc::{reader::StreamReader, writer::StreamWriter};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::{Aggregate, LogicalPlan};

use super::aggregate::nullable;
use super::lens::Lens;
use super::node::ReleaseNode;
use super::noise::{Group, Noise, bound_groups, noisy};
use super::question::{Asked, Most, Number, Question, question};
use super::sample::Samples;
use super::shape::{Releaser, Rows};
use super::{Notes, Release};
use crate::dp::accounting::{Cost, epsilon_of_rho, rho_of_budget};
use crate::dp::random::Random;
use crate::ledger::{AccountKey, Charge, ChargeId, Ledger, Question as Asking};

/// What the policy says about a role's budget and bounds.
#[derive(Debug, Clone)]
pub struct Rules {
    /// ε that may be spent together.
    pub epsilon: f64,
    /// δ at which it is stated. Half of it is for the conversion from ρ, half for group keys that are not declared.
    pub delta: f64,
    /// ε of one question.
    pub epsilon_per_query: f64,
    /// A person counts in at most this many groups of an answer.
    pub max_groups: usize,
    /// A person counts with at most this many rows in a group.
    pub max_rows: usize,
    /// The group keys that are shown whether or not any person has them, by table and column.
    pub keys: BTreeMap<(String, String), Vec<ScalarValue>>,
}

impl Rules {
    /// What all questions together may cost.
    #[must_use]
    pub fn allowance(&self) -> Cost {
        Cost {
            rho: rho_of_budget(self.epsilon, self.delta / 2.0),
            delta: self.delta / 2.0,
        }
    }

    /// What one question costs; `keys` if its group keys must pass a threshold.
    #[must_use]
    pub fn price(&self, keys: bool) -> Cost {
        let rho = rho_of_budget(self.epsilon_per_query, self.delta / 2.0);
        let share = (self.epsilon_per_query / self.epsilon).clamp(0.0, 1.0);
        Cost {
            rho,
            // A hundredth for each tenth of the budget, and so on: thresholds outlast the rest of the budget.
            delta: if keys {
                self.delta / 2.0 * share * share
            } else {
                0.0
            },
        }
    }
}

/// Differential privacy of a principal's answers.
#[derive(Debug)]
pub struct Private {
    /// The rules.
    pub rules: Rules,
    /// Whose budget it is.
    pub account: AccountKey,
    /// The snapshot's hash.
    pub snapshot: String,
    /// Through what the role sees its tables.
    pub lens: Lens,
    /// The ledger.
    pub ledger: Arc<Ledger>,
    /// What the principal is told.
    pub notes: Arc<Notes>,
}

impl Releaser for Arc<Private> {
    fn release(
        &self,
        aggregate: &Aggregate,
        input: LogicalPlan,
        rows: &Rows,
    ) -> Result<LogicalPlan> {
        let most = Most {
            groups: self.rules.max_groups,
            rows: self.rules.max_rows,
        };
        let (mut question, plan) = question(aggregate, input, rows, most)?;
        // Another role of the same principal, or a later policy, may show this question other rows.
        let lens = self.lens.of_plan(&plan)?;
        question.fingerprint.push_str(&format!("|{lens}"));
        let schema = nullable(&aggregate.schema)?;
        let answer = Answer::new(self, question, Arc::clone(schema.inner()))?;
        Ok(ReleaseNode::plan(plan, schema, Arc::new(answer)))
    }
}

/// How groups come into the answer.
#[derive(Debug, Clone)]
enum Keys {
    /// There is one group.
    One,
    /// All combinations of declared keys, and no others.
    Declared(Vec<Vec<ScalarValue>>),
    /// Those whose noisy number of persons passes a threshold.
    Threshold { noise: Noise, at_least: f64 },
}

#[derive(Debug)]
struct Answer {
    private: Arc<Private>,
    question: Question,
    schema: SchemaRef,
    noises: Vec<Noise>,
    keys: Keys,
    price: Cost,
    charge: Mutex<Option<ChargeId>>,
}

impl Answer {
    fn new(private: &Arc<Private>, question: Question, schema: SchemaRef) -> Result<Self> {
        let rules = &private.rules;
        let declared: Option<Vec<&Vec<ScalarValue>>> = question
            .origins
            .iter()
            .map(|origin| rules.keys.get(origin.as_ref()?))
            .collect();
        let (max_groups, max_rows) = (question.most.groups, question.most.rows);
        let by_threshold = question.keys > 0 && declared.is_none();
        let price = rules.price(by_threshold);
        let parts = question.numbers.len() + usize::from(by_threshold);
        let rho = price.rho / parts.max(1) as f64;
        let failed = |error: crate::dp::Error| {
            super::refused::refusal(
                "dp-noise",
                error.to_string(),
                "ask fewer numbers at once, or ask for narrower bounds",
            )
        };
        let noise = |number: &Number| {
            Noise::of(number, rho, max_groups as f64, max_rows as f64).map_err(failed)
        };
        let noises = question
            .numbers
            .iter()
            .map(noise)
            .collect::<Result<Vec<_>>>()?;
        let keys = match declared {
            _ if question.keys == 0 => Keys::One,
            Some(declared) => Keys::Declared(product(&declared)),
            None => {
                let persons = Number {
                    asked: Asked::Persons,
                    basis: 0,
                    range: None,
                    whole: true,
                    name: "persons".to_owned(),
                };
                let noise = noise(&persons)?;
                let sigma = noise
                    .count
                    .map_or(0.0, crate::dp::gaussian::Variance::sigma);
                // A group of one person shows with probability δ at most: the tail of the discrete Gaussian is below
                // that of the continuous one's bound exp(−t²/2σ²), over all groups of the person.
                let tail = (2.0 * (max_groups as f64 / price.delta).ln()).sqrt();
                Keys::Threshold {
                    noise,
                    at_least: (1.0 + sigma * tail).ceil(),
                }
            }
        };
        Ok(Self {
            private: Arc::clone(private),
            question,
            schema,
            noises,
            keys,
            price,
            charge: Mutex::new(None),
        })
    }

    fn describe(&self, spent: bool) {
        let notes = &self.private.notes;
        let rules = &self.private.rules;
        let noises: Vec<String> = self
            .noises
            .iter()
            .zip(&self.question.numbers)
            .map(|(noise, number)| noise.describe(number))
            .collect();
        // Different persons count once in a group, however many rows they have.
        let mut numbers = self.question.numbers.iter();
        let rows = match numbers.all(|number| matches!(number.asked, Asked::Persons)) {
            true => "once in each".to_owned(),
            false => match self.question.most.rows {
                1 => "with one row".to_owned(),
                rows => format!("with at most {rows} rows"),
            },
        };
        notes.add(format!(
            "noise (standard deviations): {}; each person counts in at most {} groups, {rows}",
            noises.join(", "),
            self.question.most.groups,
        ));
        if let Keys::Threshold { at_least, .. } = &self.keys {
            notes.add(format!(
                "groups are listed from {at_least} persons, counted with noise"
            ));
        }
        let ledger = &self.private.ledger;
        let state = ledger.account(&self.private.account).ok().flatten();
        let left = state.map_or_else(String::new, |state| {
            let of = rules.allowance();
            format!(
                "; {:.6} of {:.6} is left, in all epsilon {:.3} was spent",
                state.left.rho.max(0.0),
                of.rho + state.granted.rho,
                epsilon_of_rho(state.spent.rho, rules.delta / 2.0)
            )
        });
        notes.add(if spent {
            format!(
                "spent: rho {:.6} (epsilon {} at delta {:e}){left}",
                self.price.rho, rules.epsilon_per_query, rules.delta
            )
        } else {
            format!("asked and paid before: the same answer, free of charge{left}")
        });
    }
}

/// What the ledger refuses, as a refusal.
fn of_ledger(error: crate::ledger::Error) -> DataFusionError {
    match error {
        crate::ledger::Error::Exhausted { .. } | crate::ledger::Error::Frozen => {
            super::refused::refusal(
                "budget",
                error.to_string(),
                "`columna privacy ledger show` lists what was spent",
            )
        }
        other => DataFusionError::External(Box::new(other)),
    }
}

/// All combinations.
fn product(keys: &[&Vec<ScalarValue>]) -> Vec<Vec<ScalarValue>> {
    keys.iter().fold(vec![vec![]], |all, values| {
        all.iter()
            .flat_map(|start| {
                values.iter().map(move |value| {
                    let mut next = start.clone();
                    next.push(value.clone());
                    next
                })
            })
            .collect()
    })
}

impl Release for Answer {
    fn before(&self) -> Result<Option<RecordBatch>> {
        let private = &self.private;
        let rules = &private.rules;
        let mut text = format!(
            "{}|{:?}",
            self.question.fingerprint,
            (
                rules.epsilon_per_query,
                rules.delta,
                rules.max_groups,
                rules.max_rows
            )
        );
        if let Keys::Declared(keys) = &self.keys {
            text.push_str(&format!("|{keys:?}"));
        }
        let asking = Asking {
            snapshot: private.snapshot.clone(),
            fingerprint: blake3::hash(text.as_bytes()).to_hex().to_string(),
        };
        let charge = private
            .ledger
            .charge(&private.account, rules.allowance(), &asking, self.price)
            .map_err(of_ledger)?;
        match charge {
            Charge::Answered(bytes) => {
                self.describe(false);
                Ok(Some(self.decoded(&bytes)?))
            }
            Charge::Paid(id) | Charge::PaidBefore(id) => {
                *self.charge.lock().unwrap_or_else(PoisonError::into_inner) = Some(id);
                Ok(None)
            }
        }
    }

    fn answer(&self, computed: &RecordBatch) -> Result<RecordBatch> {
        let charge = self
            .charge
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(charge) = charge else {
            return Err(DataFusionError::Internal(
                "an answer that was not charged".to_owned(),
            ));
        };
        let batch = self.noised(computed)?;
        // What is released is what the ledger has: the first answer of whoever asked at once.
        let stored = self
            .private
            .ledger
            .answer(charge, &encoded(&batch)?)
            .map_err(of_ledger)?;
        self.describe(true);
        self.decoded(&stored)
    }
}

impl Answer {
    fn noised(&self, computed: &RecordBatch) -> Result<RecordBatch> {
        let keys = self.question.keys;
        let mut rows: Vec<Vec<ScalarValue>> = Vec::new();
        let mut groups: Vec<Vec<Group>> = Vec::new();
        for row in 0..computed.num_rows() {
            let key = (0..keys)
                .map(|at| ScalarValue::try_from_array(computed.column(at), row))
                .collect::<Result<Vec<_>>>()?;
            rows.push(key);
            groups.push(
                (0..self.question.bases)
                    .map(|basis| group(computed.column(keys + basis), row))
                    .collect(),
            );
        }
        if let Keys::Declared(declared) = &self.keys {
            (rows, groups) = self.declared(declared, rows, groups)?;
        }
        let mut random = Random::default();
        let failed = |error: crate::dp::Error| DataFusionError::External(Box::new(error));
        bound_groups(&mut groups, self.question.most.groups, &mut random).map_err(failed)?;
        let max_rows = self.question.most.rows;
        let mut columns: Vec<Vec<ScalarValue>> = vec![Vec::new(); self.schema.fields().len()];
        for (key, bases) in rows.into_iter().zip(&groups) {
            if let Keys::Threshold { noise, at_least } = &self.keys {
                let persons = Number {
                    asked: Asked::Persons,
                    basis: 0,
                    range: None,
                    whole: true,
                    name: String::new(),
                };
                if noisy(&persons, noise, &bases[0], max_rows, &mut random)? < *at_least {
                    continue;
                }
            }
            for (column, value) in columns.iter_mut().zip(key) {
                column.push(value);
            }
            for (at, (number, noise)) in self.question.numbers.iter().zip(&self.noises).enumerate()
            {
                let value = noisy(number, noise, &bases[number.basis], max_rows, &mut random)?;
                let kind = self.schema.field(keys + at).data_type();
                let rounded = if kind.is_integer() {
                    value.round()
                } else {
                    value
                };
                columns[keys + at].push(ScalarValue::Float64(Some(rounded)).cast_to(kind)?);
            }
        }
        let columns = columns
            .into_iter()
            .zip(self.schema.fields())
            .map(|(values, field)| -> Result<ArrayRef> {
                if values.is_empty() {
                    return Ok(arrow::array::new_empty_array(field.data_type()));
                }
                Ok(cast(
                    &ScalarValue::iter_to_array(values)?,
                    field.data_type(),
                )?)
            })
            .collect::<Result<Vec<_>>>()?;
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns)?;
        super::numbers::sorted(&batch, keys)
    }

    /// The declared groups, whether or not anybody is in them.
    #[expect(clippy::type_complexity, reason = "keys and groups, side by side")]
    fn declared(
        &self,
        declared: &[Vec<ScalarValue>],
        rows: Vec<Vec<ScalarValue>>,
        groups: Vec<Vec<Group>>,
    ) -> Result<(Vec<Vec<ScalarValue>>, Vec<Vec<Group>>)> {
        let mut found: HashMap<String, Vec<Group>> = HashMap::new();
        for (key, group) in rows.into_iter().zip(groups) {
            found.insert(text_of(&key), group);
        }
        let mut keys = Vec::new();
        let mut groups = Vec::new();
        for key in declared {
            let typed = key
                .iter()
                .enumerate()
                .map(|(at, value)| value.cast_to(self.schema.field(at).data_type()))
                .collect::<Result<Vec<_>>>()?;
            let group = found.remove(&text_of(&typed));
            groups.push(group.unwrap_or_else(|| vec![Group::new(); self.question.bases]));
            keys.push(typed);
        }
        Ok((keys, groups))
    }

    fn decoded(&self, bytes: &[u8]) -> Result<RecordBatch> {
        let mut reader = StreamReader::try_new(bytes, None)?;
        let batch = reader
            .next()
            .transpose()?
            .unwrap_or_else(|| RecordBatch::new_empty(Arc::clone(&self.schema)));
        // Columns may be called otherwise than when it was asked first.
        Ok(RecordBatch::try_new(
            Arc::clone(&self.schema),
            batch.columns().to_vec(),
        )?)
    }
}

fn text_of(key: &[ScalarValue]) -> String {
    key.iter().map(|value| format!("{value}\u{1}")).collect()
}

fn group(column: &ArrayRef, row: usize) -> Group {
    let bytes = column.as_binary::<i64>();
    if bytes.is_null(row) {
        return Group::new();
    }
    Samples::from_bytes(bytes.value(row))
        .into_iter()
        .map(|(person, rows)| (person, rows.into_iter().map(|(_, value)| value).collect()))
        .collect()
}

/// A batch as bytes.
pub(super) fn encoded(batch: &RecordBatch) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut writer = StreamWriter::try_new(&mut bytes, &batch.schema())?;
    writer.write(batch)?;
    writer.finish()?;
    drop(writer);
    Ok(bytes)
}
