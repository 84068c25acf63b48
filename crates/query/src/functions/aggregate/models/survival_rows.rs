//! The rows of models of time to event, from the columns of a call.

use columna_stats::Error;
use columna_stats::survival::cox::{self, Cox, RowColumns, Rows, Ties};
use datafusion::common::{Result, plan_err};

use super::design::Design;
use crate::functions::aggregate::adapter::{
    Kind, Layout, ModelRows, Options, Parameter, Role, refuse, refused,
};

/// The parameters that all Cox functions share, after time, event and covariates.
pub(super) const STRATA: Parameter = Parameter::optional("strata", Role::Strata);
pub(super) const START: Parameter = Parameter::optional("start", Role::Start);
pub(super) const WEIGHTS: Parameter = Parameter::optional("weights", Role::Weights);
pub(super) const CLUSTER: Parameter = Parameter::optional("cluster", Role::Cluster);
pub(super) const TIES: Parameter = Parameter::optional("ties", Role::Word);
pub(super) const ROBUST: Parameter = Parameter::optional("robust", Role::Switch);
pub(super) const OFFSET: Parameter = Parameter::optional("offset", Role::Value);

/// What a Cox model is fitted with.
#[derive(Debug)]
pub(crate) struct CoxOptions {
    pub(super) layout: Layout,
    pub(super) fit: cox::Options,
    pub(super) conf_level: f64,
    /// The levels' kind: strata that are words have names.
    pub(super) has_strata: bool,
}

impl CoxOptions {
    pub(super) fn read(given: &Options) -> Result<Self> {
        let layout = Layout::new(given.columns().iter().map(|(p, t)| (p, t)));
        Ok(Self {
            fit: cox::Options {
                ties: ties(given)?,
                robust: given.switch(ROBUST.name),
                ..cox::Options::default()
            },
            conf_level: crate::functions::aggregate::conf_level(given)?,
            has_strata: layout.slot("strata").is_some(),
            layout,
        })
    }
}

/// How ties are handled.
pub(super) fn ties(given: &Options) -> Result<Ties> {
    let word = given.word(TIES.name).map(|word| word.to_ascii_lowercase());
    match word.as_deref() {
        None | Some("efron") => Ok(Ties::Efron),
        Some("breslow") => Ok(Ties::Breslow),
        Some(_) => plan_err!("`ties` can be 'efron' or 'breslow'"),
    }
}

/// The design, the rows, and the names of the strata by their codes.
pub(super) struct CoxRows {
    pub(super) design: Design,
    pub(super) rows: Rows,
    pub(super) strata: Vec<String>,
}

/// Gives the fit of a group's rows, none where there are no rows or no events, to `take`.
pub(super) fn with_fit<T>(
    kept: Option<ModelRows>,
    options: &CoxOptions,
    take: impl FnOnce(Option<(&CoxRows, Cox<'_>)>) -> Result<T>,
) -> Result<T> {
    let Some(kept) = kept else {
        return take(None);
    };
    let given = cox_rows(kept, &options.layout)?;
    match Cox::fit(&given.rows, &options.fit) {
        Ok(cox) => take(Some((&given, cox))),
        Err(Error::NoEvents) => take(None),
        Err(error) => Err(refused(&error)),
    }
}

/// The rows of a Cox model.
pub(super) fn cox_rows(mut kept: ModelRows, layout: &Layout) -> Result<CoxRows> {
    let mut design = Design::take(&mut kept, layout);
    let codes = kept.codes_of(layout.slot("event"));
    if codes.iter().any(|code| *code > 1) {
        return refuse!(
            "`event` is 0 or 1 here, and there are other codes: write `event => status = 1` for the hazard of one cause"
        );
    }
    let event = codes.iter().map(|code| *code == 1).collect();
    let strata = layout
        .slot("strata")
        .filter(|slot| slot.kind == Kind::Word)
        .and_then(|slot| kept.words.get(slot.place))
        .map_or_else(Vec::new, |words| words.levels().to_vec());
    let columns = RowColumns {
        event,
        stratum: kept.keys_of(layout.slot("strata")),
        cluster: kept.keys_of(layout.slot("cluster")),
        time: kept.take_numbers(layout.slot("time")),
        start: kept.take_numbers(layout.slot("start")),
        weight: kept.take_numbers(layout.slot("weights")),
        covariates: std::mem::take(&mut design.columns),
        offset: kept.take_numbers(layout.slot(OFFSET.name)),
    };
    let rows = Rows::from_columns(columns).map_err(|error| refused(&error))?;
    Ok(CoxRows {
        design,
        rows,
        strata,
    })
}
