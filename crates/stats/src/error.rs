//! What can go wrong in a statistic, in words for the person who asked for it.

/// Why a row was not taken or a statistic could not be computed.
///
/// No message carries a value from the data: rows may be patients.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A time is NaN or infinite.
    #[error("a time is not a finite number; leave the row out or give it a time")]
    NonFiniteTime,
    /// An event at time 0 where its logarithm is asked for.
    #[error(
        "an event is at time 0, whose logarithm is not finite; use another `transform`, or times that begin at 1"
    )]
    LogarithmOfZero,
    /// A time or a start is before time zero.
    #[error("a time is negative; times count from each person's own time zero")]
    NegativeTime,
    /// An interval (start, stop] that contains no time.
    #[error("an interval is empty: start must be before stop (time)")]
    EmptyInterval,
    /// A weight is NaN, infinite or negative.
    #[error("a weight is not a finite number of at least 0")]
    InvalidWeight,
    /// Rows with and without weights were put into one summary.
    #[error("rows with and without weights cannot be summarised together")]
    MixedWeights,
    /// An event code above 1 reached a statistic that knows one kind of event.
    #[error(
        "event codes above 1 are competing events: use `cumulative_incidence`, or say which is the event, such as `status = 2`"
    )]
    CompetingEvents,
    /// An event code is larger than this crate supports.
    #[error("an event code is above {max}; recode events to 0 (censored), 1, 2, …", max = crate::survival::MAX_STATUS)]
    StatusOutOfRange,
    /// A confidence level outside (0, 1).
    #[error("the confidence level must be between 0 and 1, for example 0.95")]
    InvalidConfidenceLevel,
    /// A value is NaN.
    #[error("a value is NaN; leave the row out, or make it NULL")]
    NotANumber,
    /// An estimate that is not finite, or without a standard error above 0.
    #[error(
        "an estimate is not a finite number with a standard error above 0; leave out analyses without events"
    )]
    InvalidEstimate,
    /// A quantile type that R does not have.
    #[error("the quantile type must be a number from 1 to 9; R's default is 7")]
    InvalidQuantileType,
    /// A probability outside [0, 1].
    #[error("a probability must be between 0 and 1")]
    InvalidProbability,
    /// A restriction time that is not a finite number of at least 0.
    #[error("tau must be a finite number of at least 0")]
    InvalidHorizon,
    /// A hospital stay that ends before it begins.
    #[error("a discharge is before its admission; correct such stays or leave them out")]
    InvalidStay,
    /// A diagnosis that is no ICD-10 code and no condition's name.
    #[error(
        "a diagnosis is neither an ICD-10 code nor the name of a condition of this index; join OMOP concepts to their \
         ICD-10 codes (`concept_code` of `condition_source_concept_id`), or name their conditions by `is_descendant`, and leave \
         other rows out"
    )]
    UnknownDiagnosis,
    /// The standard population of a stratum is given with different sizes.
    #[error("the standard population of a stratum is not the same in all its rows")]
    UnequalStandard,
    /// A size of a standard population that is not a finite number of at least 0.
    #[error("a standard population is not a finite number of at least 0")]
    InvalidStandard,
    /// The curve is not known as far as the restriction time.
    #[error(
        "tau is beyond the last observed time of a curve that has not reached 0; choose a smaller tau"
    )]
    HorizonBeyondData,
    /// A statistic without a weighted form was given weights that are not frequencies.
    #[error("this statistic takes weights only as frequencies (whole numbers)")]
    FractionalWeights,
    /// A covariate or an offset is NaN or infinite.
    #[error("a covariate is not a finite number; leave the row out or fill it in")]
    NonFiniteCovariate,
    /// Rows of one model have different numbers of covariates.
    #[error("rows of one model must have the same covariates")]
    UnequalTerms,
    /// Only some rows of a model have a cluster.
    #[error("either every row has a cluster or none")]
    MixedClusters,
    /// A model without rows or without events.
    #[error("there is no event to fit a model to")]
    NoEvents,
    /// More rows than this crate can index.
    #[error("a model takes at most 4,294,967,295 rows")]
    TooManyRows,
    /// The likelihood could not be maximised.
    #[error("the fit did not converge; look for covariates on extreme scales")]
    NoConvergence,
    /// The columns of a model have different numbers of rows.
    #[error("all columns of a model must have the same number of rows")]
    UnequalColumns,
    /// An outcome of a logistic regression outside [0, 1].
    #[error("the outcome of a logistic regression must be 0 or 1 (or a share between them)")]
    InvalidBinaryOutcome,
    /// An outcome of a Poisson regression that is not a count.
    #[error("the outcome of a Poisson regression must be a finite number of at least 0")]
    InvalidCount,
    /// A model or a comparison without rows.
    #[error("there is no row (of weight above 0) to fit a model to")]
    NoRows,
    /// A covariate whose squares overflow or underflow.
    #[error("a covariate is too large or too small to square; give it in another unit")]
    CovariateOutOfRange,
    /// A clustered variance was asked for without clusters.
    #[error("a clustered variance needs a cluster for every row")]
    NoClusters,
    /// An option that is out of its range.
    #[error("{0} is out of range")]
    InvalidOption(&'static str),
    /// A propensity score outside (0, 1).
    #[error("a propensity score must be between 0 and 1, both excluded")]
    InvalidPropensity,
    /// A comparison of two groups of which one is empty.
    #[error("one of the two groups has no row")]
    EmptyGroup,
    /// A prediction was asked for with the wrong number of covariates.
    #[error("a prediction needs one finite value per term")]
    InvalidPrediction,
    /// A statistic that is not known for rows that come under observation late.
    #[error("this statistic does not take delayed entry (start)")]
    DelayedEntryUnsupported,
    /// The jackknife of a cumulative incidence with rows that come under observation late.
    #[error("with delayed entry (start) there is no jackknife: ask for `variance => 'delta'`")]
    DelayedEntryJackknife,
    /// A serialised summary does not have the shape that this version writes.
    #[error(
        "a partial result has an unexpected shape: were all its parts made by the same version?"
    )]
    CorruptState,
}

/// Results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
