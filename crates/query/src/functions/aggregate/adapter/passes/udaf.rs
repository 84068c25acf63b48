//! The aggregate that answers a pass's question.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::marker::PhantomData;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, FieldRef, Int64Type};
use columna_stats::Summary;
use datafusion::common::{Result, ScalarValue, internal_err, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility,
};
use datafusion::physical_expr::expressions::Literal;

use super::ByPasses;
use super::message::{self, Message};
use crate::functions::aggregate::adapter::batch::Batch;
use crate::functions::aggregate::adapter::model_rows::{ModelBatch, ModelRows};
use crate::functions::aggregate::adapter::parameters::{self, Columns, Options};
use crate::functions::aggregate::adapter::rows::{BatchRows, RowSummary, refused};
use crate::functions::aggregate::adapter::state::{self, StateBuilder, States};

/// Rows that are answered for at once: they are kept until then.
const KEPT: usize = 65_536;

/// The aggregate that answers for a model. Its arguments are the model's, the number of the row's group among the
/// questions, and the questions.
pub(crate) fn pass<S: ByPasses>() -> AggregateUDF {
    AggregateUDF::new_from_impl(Pass::<S> {
        signature: Signature::user_defined(Volatility::Immutable),
        model: PhantomData,
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Pass<S> {
    signature: Signature,
    model: PhantomData<S>,
}

/// The model's own arguments, before those of the pass.
fn own<T>(arguments: &[T]) -> &[T] {
    &arguments[..arguments.len().saturating_sub(2)]
}

impl<S: ByPasses> AggregateUDFImpl for Pass<S> {
    fn name(&self) -> &str {
        S::PASS
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        let [.., DataType::Int64, questions] = arguments else {
            return plan_err!("`{}` is what a cluster asks for `{}`", S::PASS, S::NAME);
        };
        let mut types = parameters::coerce(S::NAME, S::PARAMETERS, own(arguments))?;
        types.extend([DataType::Int64, questions.clone()]);
        Ok(types)
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(message::answer_type())
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        Ok(state::fields(args.name))
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let (exprs, fields) = (own(args.exprs), own(args.expr_fields));
        let questions = args.exprs.last().and_then(|last| {
            let literal = last.downcast_ref::<Literal>()?;
            Some(message::read_literal(literal.value()))
        });
        let Some(questions) = questions.transpose()? else {
            return plan_err!("`{}` is what a cluster asks for `{}`", S::PASS, S::NAME);
        };
        let given = Options::read(S::NAME, S::PARAMETERS, exprs, fields)?;
        Ok(Box::new(Answering::<S> {
            columns: Columns::find(S::PARAMETERS, fields),
            options: S::options(&given)?,
            questions,
            question: None,
            rows: ModelRows::default(),
            answer: Part::default(),
        }))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

/// What rows are asked.
#[derive(Debug)]
enum Asked<Q> {
    /// The fit of this group is done.
    Nothing,
    /// Which words there are.
    Levels,
    /// What the model asks, with the levels of its words.
    Question(Q, Vec<Vec<String>>),
}

/// The answer of some rows.
#[derive(Debug)]
struct Part<A> {
    rows: u64,
    /// A sum that is the same as long as the rows are.
    sum: u64,
    levels: Vec<BTreeSet<String>>,
    answer: A,
}

impl<A: Default> Default for Part<A> {
    fn default() -> Self {
        Self {
            rows: 0,
            sum: 0,
            levels: Vec::new(),
            answer: A::default(),
        }
    }
}

#[derive(Debug)]
struct Answering<S: ByPasses> {
    columns: Columns,
    options: S::Options,
    questions: Vec<Message>,
    /// Known with the first row.
    question: Option<Asked<S::Question>>,
    rows: ModelRows,
    answer: Part<S::Answer>,
}

impl<S: ByPasses> Answering<S> {
    fn asked(&self, group: &ArrayRef) -> Result<Asked<S::Question>> {
        let group = group.as_primitive::<Int64Type>();
        let group = group.is_valid(0).then(|| group.value(0));
        let question = group.and_then(|group| self.questions.get(usize::try_from(group).ok()?));
        let Some(question) = question else {
            return internal_err!("a group is not among those of the pass before");
        };
        if question.floats.is_empty() {
            let levels = !question.ints.is_empty();
            return Ok(if levels {
                Asked::Levels
            } else {
                Asked::Nothing
            });
        }
        let mut words = question.words.iter().cloned();
        let levels = question.ints.iter().map(|count| {
            let count = usize::try_from(*count).unwrap_or(usize::MAX);
            words.by_ref().take(count).collect()
        });
        let levels = levels.collect();
        let question = S::read_question(&question.floats).map_err(|error| refused(&error))?;
        Ok(Asked::Question(question, levels))
    }

    /// Answers for the rows that are kept, and forgets them.
    fn fold(&mut self) -> Result<()> {
        let mut rows = std::mem::take(&mut self.rows);
        if rows.rows() == 0 {
            return Ok(());
        }
        let part = &mut self.answer;
        part.rows += rows.rows() as u64;
        part.sum = part.sum.wrapping_add(rows.sum());
        match &self.question {
            None | Some(Asked::Nothing) => {}
            Some(Asked::Levels) => {
                part.levels.resize(rows.words.len(), BTreeSet::new());
                for (known, words) in part.levels.iter_mut().zip(&rows.words) {
                    known.extend(words.levels().iter().cloned());
                }
            }
            Some(Asked::Question(question, levels)) => {
                if !rows.number_words(levels) {
                    return super::progress::changed();
                }
                part.answer.merge(S::answer(question, rows, &self.options)?);
            }
        }
        Ok(())
    }

    fn message(&mut self) -> Result<Option<Message>> {
        self.fold()?;
        let part = &self.answer;
        if part.rows == 0 {
            return Ok(None);
        }
        let counts = part.levels.iter().map(|levels| levels.len() as u64);
        Ok(Some(Message {
            ints: [part.rows, part.sum].into_iter().chain(counts).collect(),
            floats: S::write_answer(&part.answer),
            words: part.levels.iter().flatten().cloned().collect(),
        }))
    }
}

impl<S: ByPasses> Accumulator for Answering<S> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let [own @ .., group, _] = values else {
            return internal_err!("a pass has arguments of its own");
        };
        if group.is_empty() {
            return Ok(());
        }
        if self.question.is_none() {
            self.question = Some(self.asked(group)?);
        }
        if matches!(self.question, Some(Asked::Nothing)) {
            return Ok(());
        }
        let rows = ModelBatch::read(&Batch::new(&self.columns, own, None))?;
        self.rows.add_all(&rows)?;
        if self.rows.rows() >= KEPT {
            self.fold()?;
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let states = States::new(states)?;
        for state in (0..states.len()).filter_map(|row| states.get(row)) {
            let message = Message::of(&state);
            let [rows, sum, counts @ ..] = message.ints.as_slice() else {
                return internal_err!("the answer of a pass is cut short");
            };
            let part = &mut self.answer;
            part.rows += rows;
            part.sum = part.sum.wrapping_add(*sum);
            part.levels.resize(counts.len(), BTreeSet::new());
            let mut words = message.words.into_iter();
            for (known, count) in part.levels.iter_mut().zip(counts) {
                let count = usize::try_from(*count).unwrap_or(usize::MAX);
                known.extend(words.by_ref().take(count));
            }
            let answer = S::read_answer(&message.floats).map_err(|error| refused(&error))?;
            part.answer.merge(answer);
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let message = self.message()?;
        Ok(ScalarValue::Struct(Arc::new(message::answer(message)?)))
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let mut states = StateBuilder::with_capacity(1);
        match self.message()? {
            Some(message) => message.append_to(&mut states),
            None => states.append_null(),
        }
        let states = states.finish()?;
        let states = states.iter();
        states
            .map(|state| ScalarValue::try_from_array(state, 0))
            .collect()
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.rows.heap_bytes()
    }
}
