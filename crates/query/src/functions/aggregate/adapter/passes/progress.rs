//! The fits of one call of a model, one for each group, from pass to pass.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::physical_expr::PhysicalExpr;

use super::ByPasses;
use super::message::{self, Message};
use crate::functions::aggregate::adapter::by_group::Label;
use crate::functions::aggregate::adapter::model_rows::ModelRows;
use crate::functions::aggregate::adapter::parameters::Options;
use crate::functions::aggregate::adapter::rows::refused;
use crate::functions::aggregate::adapter::unsuitable;
use crate::functions::aggregate::models::{Design, Terms};

/// A call of a model that is fitted by passes.
pub(crate) trait Fits: Send {
    /// What the groups are to be asked next, as the literal of the pass; nothing when all are done. Before the groups
    /// are known, all of them are asked the same.
    fn questions(&self) -> Result<Option<ScalarValue>>;
    /// Goes on with the answers of all groups, in their order.
    fn take(&mut self, answers: &ArrayRef) -> Result<()>;
    /// Rows that the model is fitted to, of all groups; known after the first pass.
    fn rows(&self) -> u64;
    /// Whether it turned out that the rows are needed themselves.
    fn needs_rows(&self) -> bool;
    /// The tables, one for each group.
    fn finish(self: Box<Self>, output: &DataType) -> Result<ArrayRef>;
}

/// The fits of a call, if they can be done this way.
pub(crate) fn fits<S: ByPasses>(
    arguments: &[Arc<dyn PhysicalExpr>],
    fields: &[FieldRef],
) -> Result<Option<Box<dyn Fits>>> {
    let given = Options::read(S::NAME, S::PARAMETERS, arguments, fields)?;
    let options = S::options(&given)?;
    let mut columns = given.columns().iter();
    if columns.any(|(column, _)| S::OF_ROWS.contains(&column.name)) {
        return Ok(None);
    }
    Ok(Some(Box::new(Progress::<S> {
        options,
        groups: None,
    })))
}

/// The rows of one pass were not those of the one before.
pub(super) fn changed<T>() -> Result<T> {
    Err(unsuitable(CHANGED))
}

/// What is said then, on whichever machine it was noticed.
pub(crate) const CHANGED: &str = "the rows of a model were others in its next pass: its query gives other rows each time, such as by `random()` or an ORDER BY with ties";

struct Progress<S: ByPasses> {
    options: S::Options,
    groups: Option<Vec<Group<S>>>,
}

struct Group<S: ByPasses> {
    levels: Vec<Vec<String>>,
    rows: u64,
    sum: u64,
    fit: Fit<S::Fitting>,
}

enum Fit<F> {
    /// No row, or no event.
    Null,
    Begun(F),
}

impl<S: ByPasses> Group<S> {
    fn new(answer: Option<Message>, options: &S::Options) -> Result<Self> {
        let answer = answer.unwrap_or_default();
        let mut group = Self {
            levels: Vec::new(),
            rows: 0,
            sum: 0,
            fit: Fit::Null,
        };
        let [rows, sum, counts @ ..] = answer.ints.as_slice() else {
            return Ok(group);
        };
        (group.rows, group.sum) = (*rows, *sum);
        let mut words = answer.words.into_iter();
        for count in counts {
            let count = usize::try_from(*count).unwrap_or(usize::MAX);
            let mut levels: Vec<String> = words.by_ref().take(count).collect();
            levels.sort_by_cached_key(|level| Label(level.clone()));
            group.levels.push(levels);
        }
        group.fit = Fit::Begun(S::begin(options).map_err(|error| refused(&error))?);
        Ok(group)
    }

    /// Nothing for a group whose fit is done.
    fn question(&self) -> Message {
        let asked = match &self.fit {
            Fit::Null => None,
            Fit::Begun(fitting) => S::question(fitting),
        };
        match asked {
            None => Message::default(),
            Some(floats) => Message {
                ints: self
                    .levels
                    .iter()
                    .map(|levels| levels.len() as u64)
                    .collect(),
                floats,
                words: self.levels.concat(),
            },
        }
    }

    fn take(&mut self, answer: Option<Message>) -> Result<()> {
        let Fit::Begun(fitting) = &mut self.fit else {
            return Ok(());
        };
        if S::question(fitting).is_none() {
            return Ok(());
        }
        let Some(answer) = answer else {
            return changed();
        };
        if !matches!(answer.ints.as_slice(), [rows, sum, ..] if (*rows, *sum) == (self.rows, self.sum))
        {
            return changed();
        }
        let taken = S::read_answer(&answer.floats).and_then(|answer| S::take(fitting, answer));
        match taken {
            Err(columna_stats::Error::NoEvents) => self.fit = Fit::Null,
            taken => taken.map_err(|error| refused(&error))?,
        }
        Ok(())
    }
}

impl<S: ByPasses> Fits for Progress<S> {
    fn questions(&self) -> Result<Option<ScalarValue>> {
        let Some(groups) = &self.groups else {
            let levels = Message {
                ints: vec![1],
                ..Message::default()
            };
            return Ok(Some(message::literal(&[levels])?));
        };
        let questions: Vec<Message> = groups.iter().map(Group::question).collect();
        if questions.iter().all(|question| question.floats.is_empty()) {
            return Ok(None);
        }
        Ok(Some(message::literal(&questions)?))
    }

    fn take(&mut self, answers: &ArrayRef) -> Result<()> {
        let answers = message::read(answers)?;
        let Some(groups) = &mut self.groups else {
            let groups = answers
                .into_iter()
                .map(|answer| Group::new(answer, &self.options));
            self.groups = Some(groups.collect::<Result<_>>()?);
            return Ok(());
        };
        if answers.len() != groups.len() {
            return internal_err!(
                "a pass has {} answers to {} questions",
                answers.len(),
                groups.len()
            );
        }
        groups
            .iter_mut()
            .zip(answers)
            .try_for_each(|(group, answer)| group.take(answer))
    }

    fn rows(&self) -> u64 {
        self.groups.iter().flatten().map(|group| group.rows).sum()
    }

    fn needs_rows(&self) -> bool {
        self.groups.iter().flatten().any(|group| match &group.fit {
            Fit::Null => false,
            Fit::Begun(fitting) => S::needs_rows(fitting),
        })
    }

    fn finish(self: Box<Self>, output: &DataType) -> Result<ArrayRef> {
        let mut table = Terms::new();
        let layout = S::layout(&self.options);
        for group in self.groups.into_iter().flatten() {
            let mut rows = ModelRows::of_levels(layout, &group.levels);
            let design = Design::take(&mut rows, layout);
            let fitting = match group.fit {
                Fit::Null => None,
                Fit::Begun(fitting) => Some(fitting),
            };
            S::table(fitting, &design, &self.options, &mut table)?;
        }
        table.finish(output)
    }
}
