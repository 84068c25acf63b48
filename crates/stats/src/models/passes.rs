//! A regression by passes over rows that may lie anywhere: a pass is a question, and the answers of any parts of the
//! rows merge to that of the whole.
//!
//! ```text
//! while fitting.question() is Some(question)
//!     fitting.take(merge of question.answer(part))
//! fit = fitting.finish()
//! ```
//!
//! Questions and answers are a few numbers for each pair of terms, however many rows there are. Both travel as lists of
//! numbers.

use std::ops::Range;

use super::moments::{Moment, Moments};
use super::newton::Newton;
use super::separation::{Directions, Reach, Separation, moving};
use super::step::{Point, Step, StepParts};
use super::totals::Totals;
use super::{Family, Fit, Frame, Options, Variance};
use crate::numeric::{Sequence, Symmetric, put, two_sided_z, whole};
use crate::{Error, Result, Summary};

/// What a fit wants to know of the rows.
#[derive(Debug, Clone)]
pub struct Question(Ask);

#[derive(Debug, Clone)]
enum Ask {
    Moments(Family),
    Step(Point),
    Totals { at: Point, variance: Variance },
    Reach(Point),
    Directions { direction: Point, largest: f64 },
}

/// What some rows say to a question.
#[derive(Debug, Clone, Default)]
pub struct Answer(Told);

#[derive(Debug, Clone, Default)]
enum Told {
    #[default]
    Nothing,
    Moments(Moments),
    Step(Step),
    Totals(Totals),
    Reach(Reach),
    Directions(Directions),
    /// Answers to different questions.
    Mixed,
}

impl Question {
    /// The answer of some rows of a frame.
    ///
    /// # Errors
    ///
    /// Those of [`Moments::of`] to the first question, and of [`Totals::of`].
    pub fn answer(&self, frame: &Frame<'_>, rows: Range<usize>) -> Result<Answer> {
        Ok(Answer(match &self.0 {
            Ask::Moments(family) => Told::Moments(Moments::of(frame, *family, rows)?),
            Ask::Step(point) => Told::Step(Step::of(frame, point, rows)),
            Ask::Totals { at, variance } => Told::Totals(Totals::of(frame, at, *variance, rows)?),
            Ask::Reach(direction) => Told::Reach(Reach::of(frame, direction, rows)),
            Ask::Directions { direction, largest } => {
                Told::Directions(Directions::of(frame, direction, *largest, rows))
            }
        }))
    }

    /// The question as numbers; one about clusters has none, as the scores of all clusters would have to travel.
    pub fn to_numbers(&self) -> Option<Vec<f64>> {
        let mut numbers = Vec::new();
        match &self.0 {
            Ask::Moments(_) => numbers.push(0.0),
            Ask::Step(point) => {
                numbers.push(1.0);
                put_point(&mut numbers, point);
            }
            Ask::Totals { at, variance } => {
                numbers.push(2.0);
                numbers.push(match variance {
                    Variance::Model => 0.0,
                    Variance::Robust => 1.0,
                    Variance::Clustered { .. } => return None,
                });
                put_point(&mut numbers, at);
            }
            Ask::Reach(direction) => {
                numbers.push(3.0);
                put_point(&mut numbers, direction);
            }
            Ask::Directions { direction, largest } => {
                numbers.extend([4.0, *largest]);
                put_point(&mut numbers, direction);
            }
        }
        Some(numbers)
    }

    /// Reads a question about a model of this family.
    ///
    /// # Errors
    ///
    /// [`Error::CorruptState`].
    pub fn from_numbers(family: Family, numbers: &[f64]) -> Result<Self> {
        let mut numbers = Sequence::new(numbers);
        let ask = match numbers.count()? {
            0 => Ask::Moments(family),
            1 => Ask::Step(point(family, &mut numbers)?),
            2 => {
                let variance = match numbers.count()? {
                    0 => Variance::Model,
                    1 => Variance::Robust,
                    _ => return Err(Error::CorruptState),
                };
                Ask::Totals {
                    variance,
                    at: point(family, &mut numbers)?,
                }
            }
            3 => Ask::Reach(point(family, &mut numbers)?),
            4 => Ask::Directions {
                largest: numbers.number()?,
                direction: point(family, &mut numbers)?,
            },
            _ => return Err(Error::CorruptState),
        };
        numbers.end()?;
        Ok(Self(ask))
    }
}

fn put_point(numbers: &mut Vec<f64>, point: &Point) {
    numbers.push(whole(usize::from(point.intercept)));
    put(numbers, &point.centre);
    match &point.coefficients {
        None => numbers.push(0.0),
        Some(coefficients) => {
            numbers.push(1.0);
            put(numbers, coefficients);
        }
    }
}

fn point(family: Family, numbers: &mut Sequence<'_>) -> Result<Point> {
    let point = Point {
        family,
        intercept: numbers.count()? == 1,
        centre: numbers.list()?.to_vec(),
        coefficients: match numbers.count()? {
            0 => None,
            _ => Some(numbers.list()?.to_vec()),
        },
    };
    match &point.coefficients {
        Some(coefficients) if coefficients.len() != point.terms() => Err(Error::CorruptState),
        _ => Ok(point),
    }
}

impl Answer {
    /// The answer as numbers. The scores of clusters are not among them.
    pub fn to_numbers(&self) -> Vec<f64> {
        let mut numbers = Vec::new();
        match &self.0 {
            Told::Nothing => numbers.push(0.0),
            Told::Moments(moments) => {
                numbers.extend([
                    1.0,
                    number(moments.rows),
                    moments.weight,
                    moments.outcome,
                    whole(usize::from(moments.offset)),
                    whole(usize::from(moments.mixed)),
                ]);
                put(&mut numbers, &moments.largest);
                for column in &moments.columns {
                    numbers.extend([column.weight, column.mean, column.squares]);
                }
            }
            Told::Step(step) => {
                let parts = step.to_parts();
                numbers.extend([
                    2.0,
                    number(parts.rows),
                    parts.log_likelihood,
                    parts.saturated,
                ]);
                put(&mut numbers, &parts.score);
                put(&mut numbers, &parts.information);
            }
            Told::Totals(totals) => {
                numbers.extend([
                    3.0,
                    number(totals.rows),
                    whole(totals.terms),
                    totals.log_likelihood,
                    totals.deviance,
                    number(totals.extreme),
                ]);
                let middle = totals.middle.as_ref();
                put(
                    &mut numbers,
                    &middle.map_or_else(Vec::new, Symmetric::lower),
                );
            }
            Told::Reach(reach) => numbers.extend([4.0, number(reach.rows), reach.largest]),
            Told::Directions(directions) => numbers.extend([
                5.0,
                number(directions.rows),
                number(directions.gain),
                number(directions.lose),
            ]),
            Told::Mixed => numbers.push(6.0),
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
            1 => Told::Moments(moments(&mut numbers)?),
            2 => Told::Step(Step::from_parts(StepParts {
                rows: numbers.count()? as u64,
                log_likelihood: numbers.number()?,
                saturated: numbers.number()?,
                score: numbers.list()?.to_vec(),
                information: numbers.list()?.to_vec(),
            })?),
            3 => Told::Totals(totals(&mut numbers)?),
            4 => Told::Reach(Reach {
                rows: numbers.count()? as u64,
                largest: numbers.number()?,
            }),
            5 => Told::Directions(Directions {
                rows: numbers.count()? as u64,
                gain: numbers.count()? as u64,
                lose: numbers.count()? as u64,
            }),
            6 => Told::Mixed,
            _ => return Err(Error::CorruptState),
        };
        numbers.end()?;
        Ok(Self(told))
    }
}

fn number(count: u64) -> f64 {
    whole(usize::try_from(count).unwrap_or(usize::MAX))
}

fn moments(numbers: &mut Sequence<'_>) -> Result<Moments> {
    let mut moments = Moments {
        rows: numbers.count()? as u64,
        weight: numbers.number()?,
        outcome: numbers.number()?,
        offset: numbers.count()? == 1,
        mixed: numbers.count()? == 1,
        largest: numbers.list()?.to_vec(),
        columns: Vec::new(),
    };
    for _ in 0..moments.largest.len() {
        moments.columns.push(Moment {
            weight: numbers.number()?,
            mean: numbers.number()?,
            squares: numbers.number()?,
        });
    }
    Ok(moments)
}

fn totals(numbers: &mut Sequence<'_>) -> Result<Totals> {
    let mut totals = Totals {
        rows: numbers.count()? as u64,
        terms: numbers.count()?,
        log_likelihood: numbers.number()?,
        deviance: numbers.number()?,
        extreme: numbers.count()? as u64,
        ..Totals::default()
    };
    let middle = numbers.list()?;
    if !middle.is_empty() {
        let middle = Symmetric::of_lower(totals.terms, middle);
        totals.middle = Some(middle.ok_or(Error::CorruptState)?);
    }
    Ok(totals)
}

impl Summary for Answer {
    fn merge(&mut self, other: Self) {
        match (&mut self.0, other.0) {
            (_, Told::Nothing) => {}
            (mine @ Told::Nothing, theirs) => *mine = theirs,
            (Told::Moments(mine), Told::Moments(theirs)) => mine.merge(theirs),
            (Told::Step(mine), Told::Step(theirs)) => mine.merge(theirs),
            (Told::Totals(mine), Told::Totals(theirs)) => mine.merge(theirs),
            (Told::Reach(mine), Told::Reach(theirs)) => mine.merge(theirs),
            (Told::Directions(mine), Told::Directions(theirs)) => mine.merge(theirs),
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
    z: f64,
    question: Option<Question>,
    known: Option<(Moments, Newton)>,
    totals: Totals,
    separation: Option<Separation>,
}

impl Fitting {
    /// Begins a fit.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidConfidenceLevel`].
    pub fn new(family: Family, options: Options) -> Result<Self> {
        Ok(Self {
            z: two_sided_z(options.conf_level)?,
            options,
            question: Some(Question(Ask::Moments(family))),
            known: None,
            totals: Totals::default(),
            separation: None,
        })
    }

    /// What the rows are to be asked next; nothing when the fit is done.
    pub fn question(&self) -> Option<&Question> {
        self.question.as_ref()
    }

    /// Goes on with the answer of all rows.
    ///
    /// # Errors
    ///
    /// [`Error::NoRows`] and [`Error::CovariateOutOfRange`] after the first pass; [`Error::UnequalTerms`] if the answer
    /// is not one to the question.
    pub fn take(&mut self, answer: Answer) -> Result<()> {
        let Some(Question(asked)) = self.question.take() else {
            return Err(Error::UnequalTerms);
        };
        match (asked, answer.0, &mut self.known) {
            (Ask::Moments(family), Told::Moments(moments), known) => {
                let newton = Newton::new(family, &moments, &self.options)?;
                *known = Some((moments, newton));
                self.next_step();
            }
            (Ask::Moments(_), Told::Nothing, _) => return Err(Error::NoRows),
            (Ask::Step(_), Told::Step(step), Some((_, newton))) => {
                newton.advance(&step)?;
                self.next_step();
            }
            (Ask::Totals { .. }, Told::Totals(totals), Some((moments, newton))) => {
                let infinite = !newton.converged || totals.extreme > 0 || newton.moves(moments);
                // Where it is known already, these are the totals of terms that are not centred.
                if infinite && self.separation.is_none() {
                    self.question = Some(Question(Ask::Reach(Point {
                        coefficients: Some(newton.direction.clone()),
                        ..newton.at.clone()
                    })));
                }
                self.totals = totals;
            }
            (Ask::Reach(direction), Told::Reach(reach), _) => {
                self.question = Some(Question(Ask::Directions {
                    direction,
                    largest: reach.largest,
                }));
            }
            (Ask::Directions { .. }, Told::Directions(found), Some((moments, newton))) => {
                let complete = found.complete(moments.rows);
                self.separation = found.separates().then(|| Separation {
                    complete,
                    // Where no row is left that says anything, other directions separate as well.
                    terms: if complete {
                        (0..newton.kept.len())
                            .filter(|term| newton.kept[*term])
                            .collect()
                    } else {
                        moving(&newton.original(&newton.direction), &newton.scale)
                    },
                });
                if let Some(separation) = &self.separation
                    && newton.uncentre(&separation.terms)
                {
                    self.question = Some(Question(Ask::Step(newton.last_point().clone())));
                }
            }
            _ => return Err(Error::UnequalTerms),
        }
        Ok(())
    }

    fn next_step(&mut self) {
        let newton = self.known.as_ref().map(|(_, newton)| newton);
        self.question = newton.map(|newton| {
            Question(match newton.point() {
                Some(point) => Ask::Step(point.clone()),
                None => Ask::Totals {
                    at: newton.last_point().clone(),
                    variance: self.options.variance,
                },
            })
        });
    }

    /// The fit, without its null deviance.
    ///
    /// # Errors
    ///
    /// [`Error::NoRows`] if nothing was answered.
    pub fn finish(self) -> Result<Fit> {
        let (moments, newton) = self.known.ok_or(Error::NoRows)?;
        let mut fit = newton.finish(&moments, &self.totals, &self.options, self.z);
        fit.separation = self.separation;
        Ok(fit)
    }

    /// What the first pass told.
    pub(super) fn moments(&self) -> Option<&Moments> {
        self.known.as_ref().map(|(moments, _)| moments)
    }
}
