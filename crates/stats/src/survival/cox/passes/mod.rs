//! A Cox model by passes over rows that may lie anywhere: a pass is a question, and the answers of any parts of the rows
//! merge to that of the whole. The likelihood is that of [`super::likelihood`], but that the squares of the covariates
//! are summed by event time as well, as nobody knows the hazard before all rows have answered:
//!
//! information = Σ_t (h·S2 − (h−g)·D2 − A·S1S1' + B·(S1D1' + D1S1') − C·D1D1'), S2 and D2 sums of r·xx'.
//!
//! The first pass finds the event times; each further one is a Newton step, and a robust variance takes one more.
//! An answer has some numbers for each event time and pair of terms, however many rows there are. Times must be whole
//! days: others may be near-ties, which only all of them together tell.

mod outline;
mod step;

use std::ops::Range;
use std::sync::Arc;

use self::outline::Outline;
use self::step::{Step, width};
use super::fit::{Facts, finish};
use super::layout::Layout;
use super::likelihood::Model;
use super::robust::{ScoreResiduals, Steps};
use super::{Fit, Options, Rows};
use crate::models::Spread;
use crate::numeric::{Sequence, Symmetric, put, whole};
use crate::survival::columns::Columns;
use crate::survival::newton::{Maximum, Newton, Search};
use crate::{Error, Result, Summary};

/// Whole days below this are never near-ties.
const MAX_DAYS: f64 = 1e6;
/// Numbers in an answer, above which rows had better travel themselves: 64 MB.
const MAX_NUMBERS: usize = 8 << 20;

/// Where the event times are, and about what covariates are centred.
#[derive(Debug, Clone, PartialEq)]
struct Places {
    /// By stratum.
    ranges: Vec<Range<usize>>,
    time: Vec<f64>,
    centre: Vec<f64>,
}

impl Places {
    fn model<'a>(&self, rows: &'a Rows, options: &Options) -> Result<Model<'a>> {
        if rows.terms() != self.centre.len() {
            return Err(Error::UnequalTerms);
        }
        let layout = Layout::of_events(self.ranges.clone(), self.time.clone()).with_rows(rows)?;
        let columns = Columns::centred_at(self.centre.clone());
        Ok(Model::with_columns(rows, layout, options.ties, columns))
    }

    fn put(&self, numbers: &mut Vec<f64>) {
        let ends: Vec<f64> = self.ranges.iter().map(|range| whole(range.end)).collect();
        put(numbers, &ends);
        put(numbers, &self.time);
        put(numbers, &self.centre);
    }

    fn read(numbers: &mut Sequence<'_>) -> Result<Self> {
        let (mut begin, mut ranges) = (0, Vec::new());
        let mut ends = Sequence::new(numbers.list()?);
        while let Ok(end) = ends.count() {
            ranges.push(begin..end);
            begin = end;
        }
        ends.end()?;
        let places = Self {
            ranges,
            time: numbers.list()?.to_vec(),
            centre: numbers.list()?.to_vec(),
        };
        let ordered = places.ranges.iter().all(|range| range.start <= range.end);
        if ordered && begin == places.time.len() {
            Ok(places)
        } else {
            Err(Error::CorruptState)
        }
    }
}

/// What a fit wants to know of the rows.
#[derive(Debug, Clone)]
pub struct Question(Ask);

#[derive(Debug, Clone)]
enum Ask {
    Outline,
    Step {
        places: Arc<Places>,
        beta: Vec<f64>,
    },
    /// The middle of the robust variance.
    Square {
        places: Arc<Places>,
        beta: Vec<f64>,
        steps: Box<Steps>,
    },
}

/// What some rows say to a question.
#[derive(Debug, Clone, Default)]
pub struct Answer(Told);

#[derive(Debug, Clone, Default)]
enum Told {
    #[default]
    Nothing,
    Outline(Outline),
    Step(Step),
    Square(Symmetric),
    /// Answers to different questions.
    Mixed,
}

impl Question {
    /// The answer of some rows. Strata are numbered from 0, by the same numbers for all rows of the model.
    ///
    /// # Errors
    ///
    /// [`Error::UnequalTerms`] and [`Error::CorruptState`] if the question is one about another model.
    pub fn answer(&self, rows: &Rows, options: &Options) -> Result<Answer> {
        if rows.is_empty() {
            return Ok(Answer::default());
        }
        Ok(Answer(match &self.0 {
            Ask::Outline => Told::Outline(Outline::of(rows)),
            Ask::Step { places, beta } => {
                let model = places.model(rows, options)?;
                Told::Step(Step::of(&model, beta))
            }
            Ask::Square {
                places,
                beta,
                steps,
            } => {
                let model = places.model(rows, options)?;
                let steps = steps.as_ref().clone();
                Told::Square(ScoreResiduals::of_part(&model, beta, steps).square()?)
            }
        }))
    }

    /// The question as numbers.
    pub fn to_numbers(&self) -> Vec<f64> {
        let mut numbers = Vec::new();
        match &self.0 {
            Ask::Outline => numbers.push(0.0),
            Ask::Step { places, beta } => {
                numbers.push(1.0);
                places.put(&mut numbers);
                put(&mut numbers, beta);
            }
            Ask::Square {
                places,
                beta,
                steps,
            } => {
                numbers.push(2.0);
                places.put(&mut numbers);
                for list in [beta, &steps.before, &steps.at_event, &steps.means] {
                    put(&mut numbers, list);
                }
            }
        }
        numbers
    }

    /// Reads a question.
    ///
    /// # Errors
    ///
    /// [`Error::CorruptState`].
    pub fn from_numbers(numbers: &[f64]) -> Result<Self> {
        let mut numbers = Sequence::new(numbers);
        let kind = numbers.count()?;
        if kind == 0 {
            numbers.end()?;
            return Ok(Self(Ask::Outline));
        }
        let places = Arc::new(Places::read(&mut numbers)?);
        let beta = numbers.list()?.to_vec();
        let (times, p) = (places.time.len(), places.centre.len());
        let ask = match kind {
            1 => Ask::Step { places, beta },
            2 => Ask::Square {
                places,
                beta,
                steps: Box::new(Steps {
                    before: numbers.list()?.to_vec(),
                    at_event: numbers.list()?.to_vec(),
                    means: numbers.list()?.to_vec(),
                }),
            },
            _ => return Err(Error::CorruptState),
        };
        numbers.end()?;
        let fits = match &ask {
            Ask::Square { beta, steps, .. } => {
                beta.len() == p
                    && steps.before.len() == (times + 1) * (p + 1)
                    && steps.at_event.len() == times * (p + 1)
                    && steps.means.len() == times * p
            }
            Ask::Step { beta, .. } => beta.len() == p,
            Ask::Outline => true,
        };
        if fits {
            Ok(Self(ask))
        } else {
            Err(Error::CorruptState)
        }
    }
}

impl Answer {
    /// The answer as numbers.
    pub fn to_numbers(&self) -> Vec<f64> {
        let mut numbers = Vec::new();
        match &self.0 {
            Told::Nothing => numbers.push(0.0),
            Told::Outline(outline) => {
                numbers.push(1.0);
                outline.put(&mut numbers);
            }
            Told::Step(step) => {
                numbers.push(2.0);
                step.put(&mut numbers);
            }
            Told::Square(square) => {
                let lower = square.lower();
                numbers.extend([3.0, whole(square.size())]);
                put(&mut numbers, &lower);
            }
            Told::Mixed => numbers.push(4.0),
        }
        numbers
    }

    /// Reads an answer.
    ///
    /// # Errors
    ///
    /// [`Error::CorruptState`].
    pub fn from_numbers(numbers: &[f64]) -> Result<Self> {
        let mut numbers = Sequence::new(numbers);
        let told = match numbers.count()? {
            0 => Told::Nothing,
            1 => Told::Outline(Outline::read(&mut numbers)?),
            2 => Told::Step(Step::read(&mut numbers)?),
            3 => {
                let size = numbers.count()?;
                let square = Symmetric::of_lower(size, numbers.list()?);
                Told::Square(square.ok_or(Error::CorruptState)?)
            }
            4 => Told::Mixed,
            _ => return Err(Error::CorruptState),
        };
        numbers.end()?;
        Ok(Self(told))
    }
}

impl Summary for Answer {
    fn merge(&mut self, other: Self) {
        match (&mut self.0, other.0) {
            (_, Told::Nothing) => {}
            (mine @ Told::Nothing, theirs) => *mine = theirs,
            (Told::Outline(mine), Told::Outline(theirs)) => mine.merge(theirs),
            (Told::Step(mine), Told::Step(theirs)) if mine.cells.len() == theirs.cells.len() => {
                mine.merge(&theirs);
            }
            (Told::Square(mine), Told::Square(theirs)) if mine.size() == theirs.size() => {
                mine.add_scaled(&theirs, 1.0);
            }
            (mine, _) => *mine = Told::Mixed,
        }
    }

    fn is_empty(&self) -> bool {
        matches!(self.0, Told::Nothing)
    }
}

/// A fit under way.
#[derive(Debug)]
pub struct Fitting {
    options: Options,
    question: Option<Question>,
    known: Option<Known>,
    needs_rows: bool,
}

/// What is known after the first pass.
#[derive(Debug)]
struct Known {
    outline: Outline,
    columns: Columns,
    layout: Layout,
    places: Arc<Places>,
    newton: Option<(Newton, Search)>,
    maximum: Option<Maximum>,
    middle: Option<Symmetric>,
}

impl Fitting {
    /// Begins a fit. Clusters are not for passes: their scores are as many as they are.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self {
            options,
            question: Some(Question(Ask::Outline)),
            known: None,
            needs_rows: false,
        }
    }

    /// What the rows are to be asked next; nothing when the fit is done, or cannot be done this way.
    pub fn question(&self) -> Option<&Question> {
        self.question.as_ref()
    }

    /// Whether the rows themselves are needed: times are not whole days, or answers would be as large.
    pub fn needs_rows(&self) -> bool {
        self.needs_rows
    }

    /// Goes on with the answer of all rows.
    ///
    /// # Errors
    ///
    /// [`Error::NoEvents`] and [`Error::CovariateOutOfRange`] after the first pass; [`Error::NoConvergence`];
    /// [`Error::UnequalTerms`] if the answer is not one to the question.
    pub fn take(&mut self, answer: Answer) -> Result<()> {
        let asked = self.question.take().map(|question| question.0);
        match (asked, answer.0) {
            (Some(Ask::Outline), Told::Nothing) => Err(Error::NoEvents),
            (Some(Ask::Outline), Told::Outline(outline)) => self.begin(outline),
            (Some(Ask::Step { beta, .. }), Told::Step(step)) => self.step(&beta, step),
            (Some(Ask::Square { .. }), Told::Square(square)) => {
                if let Some(known) = &mut self.known {
                    known.middle = Some(square);
                }
                Ok(())
            }
            _ => Err(Error::UnequalTerms),
        }
    }

    fn begin(&mut self, outline: Outline) -> Result<()> {
        if outline.mixed {
            return Err(Error::UnequalTerms);
        }
        if outline.events == 0 {
            return Err(Error::NoEvents);
        }
        let spreads: Vec<Spread> = outline.columns.iter().map(|column| column.spread).collect();
        let columns = Columns::of_spreads(&spreads);
        columns.check()?;
        let p = columns.terms();
        let numbers = outline.days.len().saturating_mul(2 * width(p));
        if !outline.whole || numbers > MAX_NUMBERS {
            self.needs_rows = true;
            return Ok(());
        }
        let time = outline.days.keys().map(|(_, day)| f64::from(*day));
        let (mut begin, mut ranges) = (0, Vec::new());
        for stratum in 0..outline.strata {
            let days = outline
                .days
                .range((stratum, 0)..=(stratum, u32::MAX))
                .count();
            ranges.push(begin..begin + days);
            begin += days;
        }
        let places = Arc::new(Places {
            ranges,
            time: time.collect(),
            centre: columns.centre.clone(),
        });
        let mut layout = Layout::of_events(places.ranges.clone(), places.time.clone());
        layout.deaths = outline.days.values().map(|(events, _)| *events).collect();
        layout.death_weight = outline.days.values().map(|(_, weight)| *weight).collect();
        self.question = Some(Question(Ask::Step {
            places: Arc::clone(&places),
            beta: vec![0.0; p],
        }));
        self.known = Some(Known {
            outline,
            columns,
            layout,
            places,
            newton: None,
            maximum: None,
            middle: None,
        });
        Ok(())
    }

    fn step(&mut self, beta: &[f64], mut step: Step) -> Result<()> {
        let Some(known) = &mut self.known else {
            return Err(Error::UnequalTerms);
        };
        let fits =
            step.p == beta.len() && step.cells.len() == 2 * width(step.p) * known.layout.time.len();
        if !fits {
            return Err(Error::UnequalTerms);
        }
        let (evaluation, sums) = step.evaluate(&known.layout, beta, &self.options);
        let Some((newton, search)) = &mut known.newton else {
            let events = known.layout.death_weight.iter().sum();
            let newton = Newton::new(evaluation, &known.columns, events);
            let search = newton.search();
            self.question = Some(Question(Ask::Step {
                places: Arc::clone(&known.places),
                beta: search.next().to_vec(),
            }));
            known.newton = Some((newton, search));
            return Ok(());
        };
        let maximum = newton.advance(search, evaluation, self.options.tolerance);
        let ask = match &maximum {
            None if search.iterations() >= self.options.max_iterations => {
                return Err(Error::NoConvergence);
            }
            None => Some(Ask::Step {
                places: Arc::clone(&known.places),
                beta: search.next().to_vec(),
            }),
            Some(maximum) => {
                let robust = self.options.robust.unwrap_or(known.outline.fractional);
                let means = sums.means(&known.layout.death_weight);
                robust.then(|| Ask::Square {
                    places: Arc::clone(&known.places),
                    beta: maximum.beta.clone(),
                    steps: Box::new(Steps::new(&known.layout.ranges, &sums, means)),
                })
            }
        };
        known.maximum = maximum;
        self.question = ask.map(Question);
        Ok(())
    }

    /// The fit.
    ///
    /// # Errors
    ///
    /// [`Error::NoEvents`] if nothing was answered.
    pub fn finish(self) -> Result<Fit> {
        let known = self.known.ok_or(Error::NoEvents)?;
        let (Some((newton, _)), Some(maximum)) = (&known.newton, &known.maximum) else {
            return Err(Error::NoConvergence);
        };
        let facts = Facts {
            n: known.outline.rows,
            n_events: known.outline.events,
            means: known.outline.means(),
            middle: known.middle,
            null_middle: None,
        };
        Ok(finish(newton, maximum, facts))
    }
}

#[cfg(test)]
mod tests;
