//! Models that are fitted by passes: where the rows lie on other machines, each pass is an aggregate of its own, and
//! what travels is a question to the rows and the sum of their answers.
//!
//! A model says what its questions and answers are ([`ByPasses`]); `columna-stats` has both. The rest is the same for
//! all: levels of factors are gathered first and numbered the same everywhere, groups are asked in one aggregate, and a
//! query whose rows are others in the next pass is noticed.

mod message;
mod progress;
mod udaf;

use columna_stats::{Result as Fitted, Summary};
use datafusion::common::Result;

pub(crate) use progress::{CHANGED, Fits, fits};
pub(crate) use udaf::pass;

use super::model_rows::{Layout, ModelRows};
use super::udaf::Statistic;
use crate::functions::aggregate::models::{Design, Terms};

/// A model that can be fitted by passes.
pub(crate) trait ByPasses: Statistic<Summary = ModelRows> {
    /// A fit under way.
    type Fitting: Send + Sync + std::fmt::Debug;
    /// What it wants to know of the rows.
    type Question: Send + Sync + std::fmt::Debug;
    /// What some rows say.
    type Answer: Summary + Send + Sync + std::fmt::Debug;

    /// The name of the aggregate that answers.
    const PASS: &'static str;
    /// Columns with which it needs the rows themselves: the scores of clusters would be as many as they are.
    const OF_ROWS: &'static [&'static str] = &["cluster"];

    /// Where the columns of the rows are.
    fn layout(options: &Self::Options) -> &Layout;
    /// Begins a fit.
    fn begin(options: &Self::Options) -> Fitted<Self::Fitting>;
    /// What is to be asked next; nothing when the fit is done.
    fn question(fitting: &Self::Fitting) -> Option<Vec<f64>>;
    /// Whether it turned out that the rows are needed themselves.
    fn needs_rows(_fitting: &Self::Fitting) -> bool {
        false
    }
    /// Reads a question.
    fn read_question(numbers: &[f64]) -> Fitted<Self::Question>;
    /// The answer of some rows.
    fn answer(
        question: &Self::Question,
        rows: ModelRows,
        options: &Self::Options,
    ) -> Result<Self::Answer>;
    /// An answer as it travels.
    fn write_answer(answer: &Self::Answer) -> Vec<f64>;
    /// Reads an answer.
    fn read_answer(numbers: &[f64]) -> Fitted<Self::Answer>;
    /// Goes on with the answer of all rows.
    fn take(fitting: &mut Self::Fitting, answer: Self::Answer) -> Fitted<()>;
    /// Writes the table of a fit that is done. `None` stands for one that there is no table of, which is NULL.
    fn table(
        fitting: Option<Self::Fitting>,
        design: &Design,
        options: &Self::Options,
        table: &mut Terms,
    ) -> Result<()>;
}
