//! `propensity_score(treated, covariates, id)`: everybody's chance of the treatment, and weights that balance by it.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, BooleanArray};
use arrow::datatypes::DataType;
use columna_stats::causal::propensity::propensity_scores;
use columna_stats::causal::weighting::{Estimand, Trim, weights};
use columna_stats::models::Options as FitOptions;
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::Documentation;

use super::Regression;
use crate::functions::aggregate::adapter::output::{list_of, lists, numbers, struct_of};
use crate::functions::aggregate::adapter::{
    Ids, Layout, ModelRows, Options, Parameter, Role, Statistic, refuse, refused,
};
use crate::functions::docs::CAUSAL;

static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| {
    Documentation::builder(
        CAUSAL,
        "Propensity scores by logistic regression, and the weights that balance the groups by them: a list of `id`, \
         `treated`, `score` and `weight`, in order of the ids. Join it to the outcomes by `id`, and give `weight` to \
         `kaplan_meier` or `cox_ph` (which then has a robust variance). Where covariates determine the treatment \
         there is nothing to compare, and the call is refused; NULL where nobody, or everybody, is treated.",
        "propensity_score(treated, covariates, id[, estimand => 'ate'][, trim => [0.05, 0.95]][, trim_quantile => 0.99])",
    )
    .with_argument("treated", "Whether the person was treated: a boolean, or 0 and 1")
    .with_argument("covariates", "The terms, as in `logistic_regression`")
    .with_argument("id", "What names the person, such as `person_id`")
    .with_argument("estimand", "Whose effect is asked for: 'ate' (everybody's), 'stabilized' (the same, with weights around 1), 'att' (the treated's), 'atc', 'overlap', or 'matching'")
    .with_argument("trim", "Scores outside this range weigh 0")
    .with_argument("trim_quantile", "Weights above this quantile are lowered to it")
    .with_sql_example(
        "> SELECT t.id AS id, round(t.score, 4) AS score, round(t.weight, 4) AS weight FROM (
    SELECT unnest(propensity_score(treated, named_struct('x', x), id)) AS t
    FROM (VALUES (1, 1, 2), (2, 0, 1), (3, 1, 3), (4, 0, 2), (5, 1, 4), (6, 0, 3)) AS d(id, treated, x));
+----+--------+--------+
| id | score  | weight |
+----+--------+--------+
| 1  | 0.3333 | 3.0    |
| 2  | 0.1111 | 1.125  |
| 3  | 0.6667 | 1.5    |
| 4  | 0.3333 | 1.5    |
| 5  | 0.8889 | 1.125  |
| 6  | 0.6667 | 3.0    |
+----+--------+--------+",
    )
    .build()
});

#[derive(Debug)]
pub(crate) struct ScoreOptions {
    layout: Layout,
    estimand: Estimand,
    trim: Trim,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct PropensityScore;

impl Statistic for PropensityScore {
    type Summary = ModelRows;
    type Options = ScoreOptions;

    const NAME: &'static str = "propensity_score";
    const PARAMETERS: &'static [Parameter] = &[
        Parameter::required("treated", Role::Value),
        Parameter::required("covariates", Role::Covariates),
        Parameter::required("id", Role::Id),
        Parameter::optional("estimand", Role::Word),
        Parameter::optional("trim", Role::Numbers),
        Parameter::optional("trim_quantile", Role::Number),
    ];

    fn documentation() -> &'static Documentation {
        &DOCUMENTATION
    }

    fn output(arguments: &[DataType]) -> DataType {
        list_of(struct_of(&[
            ("id", Ids::data_type(arguments.get(2))),
            ("treated", DataType::Boolean),
            ("score", DataType::Float64),
            ("weight", DataType::Float64),
        ]))
    }

    fn options(given: &Options) -> Result<ScoreOptions> {
        let word = given.word("estimand").map(|word| word.to_ascii_lowercase());
        let estimand = match word.as_deref() {
            None | Some("ate") => Estimand::Everybody,
            Some("stabilized" | "stabilised") => Estimand::Stabilized,
            Some("att") => Estimand::Treated,
            Some("atc") => Estimand::Untreated,
            Some("overlap" | "ato") => Estimand::Overlap,
            Some("matching") => Estimand::Matching,
            Some(_) => {
                return plan_err!(
                    "`estimand` can be 'ate', 'stabilized', 'att', 'atc', 'overlap' or 'matching'"
                );
            }
        };
        let trim = match (
            given.numbers("trim")?.as_deref(),
            given.number("trim_quantile")?,
        ) {
            (None, None) => Trim::None,
            (Some([lower, upper]), None) if 0.0 <= *lower && lower < upper && *upper <= 1.0 => {
                Trim::Score {
                    lower: *lower,
                    upper: *upper,
                }
            }
            (None, Some(quantile)) if (0.0..=1.0).contains(&quantile) => Trim::Quantile(quantile),
            _ => {
                return plan_err!(
                    "give either `trim => [lower, upper]`, scores between 0 and 1, or `trim_quantile` between 0 and 1"
                );
            }
        };
        Ok(ScoreOptions {
            layout: Layout::new(given.columns().iter().map(|(p, t)| (p, t))),
            estimand,
            trim,
        })
    }

    fn evaluate(
        summaries: &[Option<&ModelRows>],
        options: &ScoreOptions,
        output: &DataType,
    ) -> Result<ArrayRef> {
        Self::finish(
            summaries.iter().map(|rows| rows.cloned()).collect(),
            options,
            output,
        )
    }

    fn finish(
        summaries: Vec<Option<ModelRows>>,
        options: &ScoreOptions,
        output: &DataType,
    ) -> Result<ArrayRef> {
        let mut ids = Ids::none(&options.layout);
        let mut treated = Vec::new();
        let (mut scores, mut all_weights) = (Vec::new(), Vec::new());
        let mut lengths = Vec::with_capacity(summaries.len());
        for summary in summaries {
            let Some(kept) = summary else {
                lengths.push(None);
                continue;
            };
            let names = Ids::of(&kept, &options.layout);
            let order = names.order();
            let given = Regression::take(kept, &options.layout, "treated");
            if given
                .outcome
                .iter()
                .any(|flag| *flag != 0.0 && *flag != 1.0)
            {
                return refuse!(
                    "a value of `treated` is neither a boolean nor 0 or 1; recode it, for example `treated = 'yes'`"
                );
            }
            let flags: Vec<bool> = given.outcome.iter().map(|flag| *flag > 0.5).collect();
            if !(flags.contains(&true) && flags.contains(&false)) {
                lengths.push(None);
                continue;
            }
            let found = given
                .with_frame(|frame| propensity_scores(frame, &FitOptions::default()))
                .map_err(|error| refused(&error))?;
            if found.model.separation.is_some() {
                return refuse!(
                    "the covariates determine the treatment of some rows, so that nobody can be compared with them; \
                     leave out a term, or restrict the population"
                );
            }
            let found_weights = weights(&found.scores, &flags, options.estimand, options.trim)
                .map_err(|error| refused(&error))?;
            lengths.push(Some(order.len()));
            for row in order {
                ids.push(&names, row);
                treated.push(flags[row]);
                scores.push(found.scores[row]);
                all_weights.push(found_weights[row]);
            }
        }
        let columns: Vec<ArrayRef> = vec![
            ids.into_array(),
            Arc::new(BooleanArray::from(treated)),
            numbers(scores),
            numbers(all_weights),
        ];
        lists(output, &lengths, &columns)
    }
}
