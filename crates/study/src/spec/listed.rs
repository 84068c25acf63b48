//! Analyses read from a specification.

use super::analyses::{Analysis, Grid, Kind, MODELS, Model, RateStandard, Rates, Readmission};
use super::cohorts::{ConceptSet, Sets, concepts, plain};
use super::decode::{Decoder, Fields, Located};
use super::design::{ESTIMANDS, METHODS, calendar, risk_end};
use super::load::Files;
use super::words;
use crate::problem::{Spot, nearest};
use crate::yaml::{Node, Value};

/// What the analyses of a study depend on beside their own fields.
pub(super) struct Context<'a> {
    pub(super) sets: &'a Sets,
    pub(super) primary: Option<Located<String>>,
    pub(super) compares: bool,
    pub(super) designed: bool,
    pub(super) controls: bool,
    pub(super) competes: bool,
    pub(super) adjusts: bool,
}

impl Context<'_> {
    fn all_models(&self) -> Vec<Model> {
        if self.adjusts {
            vec![
                Model::Crude,
                Model::Covariates,
                Model::Propensity,
                Model::DoublyRobust,
            ]
        } else {
            vec![Model::Crude, Model::Propensity]
        }
    }

    fn main(&self) -> Model {
        Model::Propensity
    }
}

pub(super) fn analyses(
    decoder: &Decoder,
    node: Option<&Node>,
    context: &Context<'_>,
    files: &mut Files,
) -> Vec<Analysis> {
    let mut found: Vec<Analysis> = Vec::new();
    match node {
        None => {
            let mut names = Vec::new();
            if context.designed {
                names.extend(["attrition", "table_one"]);
            }
            if context.compares {
                names.push("propensity");
            }
            if context.designed && context.primary.is_some() {
                names.extend(["incidence", "kaplan_meier"]);
            }
            if context.compares && context.primary.is_some() {
                names.push("cox");
            }
            if context.designed && context.primary.is_some() && context.competes {
                names.push("competing_risks");
            }
            if context.compares && context.controls {
                names.push("negative_controls");
            }
            for name in names {
                let empty = Node {
                    value: Value::Null,
                    at: Spot::default(),
                };
                let analysis = analysis(
                    decoder,
                    name,
                    &empty,
                    Spot::default(),
                    "analyses",
                    context,
                    files,
                );
                found.extend(analysis);
            }
        }
        Some(node) => {
            for (number, node) in decoder.list(node).iter().enumerate() {
                let path = format!("analyses[{}]", number + 1);
                let empty = Node {
                    value: Value::Null,
                    at: node.at,
                };
                let one = match &node.value {
                    Value::Text(name) => {
                        analysis(decoder, name, &empty, node.at, &path, context, files)
                    }
                    Value::Map(entries) => match entries.as_slice() {
                        [(key, node)] => {
                            analysis(decoder, &key.name, node, key.at, &path, context, files)
                        }
                        _ => {
                            decoder.hint(
                                node.at,
                                &path,
                                "an analysis is one name with its settings below it",
                                "indent the settings further than the name",
                            );
                            None
                        }
                    },
                    _ => {
                        decoder.note(node.at, &path, "the name of an analysis is expected here");
                        None
                    }
                };
                found.extend(one);
            }
        }
    }
    number_ids(decoder, &mut found);
    found
}

/// Every analysis has an id of its own: its files are named by it.
fn number_ids(decoder: &Decoder, found: &mut [Analysis]) {
    let mut taken: Vec<String> = Vec::new();
    for analysis in found {
        if analysis.id.is_empty() {
            let base = analysis.kind.name().to_owned();
            let mut id = base.clone();
            let mut number = 2;
            while taken.contains(&id) {
                id = format!("{base}_{number}");
                number += 1;
            }
            analysis.id = id;
        } else if taken.contains(&analysis.id) {
            decoder.note(
                analysis.at,
                "analyses",
                format!("the id `{}` is used twice", analysis.id),
            );
        }
        taken.push(analysis.id.clone());
    }
}

fn analysis(
    decoder: &Decoder,
    name: &str,
    node: &Node,
    at: Spot,
    path: &str,
    context: &Context<'_>,
    files: &mut Files,
) -> Option<Analysis> {
    let known: &'static [&'static str] = match name {
        "attrition" | "propensity" | "negative_controls" => words::PLAIN,
        "table_one" => words::TABLE_ONE,
        "kaplan_meier" => words::KAPLAN_MEIER,
        "cox" => words::COX,
        "competing_risks" => words::COMPETING_RISKS,
        "incidence" => words::INCIDENCE,
        "rates" => words::RATES,
        "logistic" => words::LOGISTIC,
        "readmission" => words::READMISSION,
        "subgroups" => words::SUBGROUPS,
        "sensitivity" => words::SENSITIVITY,
        "sql" => words::SQL,
        _ => {
            let hint = nearest(name, words::ANALYSES.iter().copied()).map_or_else(
                || format!("one of: {}", words::ANALYSES.join(", ")),
                |near| format!("did you mean `{near}`?"),
            );
            decoder.hint(at, path, format!("there is no analysis `{name}`"), hint);
            return None;
        }
    };
    let path = format!("{path}.{name}");
    let fields = decoder.fields(node, &path, known)?;
    let kind = kind(name, &fields, at, context, files)?;
    let lacks = (kind.needs_design() && !context.designed)
        .then_some("a `design`")
        .or((kind.needs_comparator() && !context.compares)
            .then_some("a `comparator` in the design"));
    if let Some(lacks) = lacks {
        decoder.note(at, &path, format!("`{name}` needs {lacks}"));
        return None;
    }
    let id = fields.text("id").unwrap_or_default();
    if !id
        .chars()
        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    {
        decoder.hint(
            at,
            &fields.path_of("id"),
            "this id cannot be the name of a file",
            "use lower-case letters, digits and underscores",
        );
    }
    Some(Analysis {
        id,
        title: fields.text("title"),
        at,
        kind,
    })
}

fn kind(
    name: &str,
    fields: &Fields<'_>,
    at: Spot,
    context: &Context<'_>,
    files: &mut Files,
) -> Option<Kind> {
    let outcome = || {
        let found = fields
            .located("outcome")
            .or_else(|| context.primary.clone());
        if found.is_none() {
            fields.decoder.hint(
                at,
                &fields.path,
                "there is no outcome",
                "name one under `outcomes`",
            );
        }
        found
    };
    let terms = || {
        fields
            .get("covariates")
            .map(|_| fields.located_list("covariates"))
    };
    Some(match name {
        "attrition" => Kind::Attrition,
        "propensity" => Kind::Propensity,
        "negative_controls" => {
            if !context.controls {
                fields.decoder.hint(
                    at,
                    &fields.path,
                    "there is no negative control",
                    "name outcomes that the exposure cannot change under `negative_controls`",
                );
                return None;
            }
            Kind::NegativeControls
        }
        "table_one" => Kind::TableOne {
            variables: fields.located_list("variables"),
        },
        "kaplan_meier" => Kind::KaplanMeier {
            outcome: outcome()?,
            adjusted: fields.flag("adjusted", context.compares),
            at: days(fields, "at", &[365, 730, 1095]),
            rmst: fields.get("rmst").map(|_| fields.days("rmst", 0, 1)),
        },
        "cox" => {
            let models = models(fields, context);
            let main = fields.word(
                "main",
                models
                    .iter()
                    .copied()
                    .find(|model| *model == context.main())
                    .or_else(|| models.last().copied())
                    .unwrap_or(Model::Crude),
                &MODELS,
            );
            if !models.contains(&main) {
                fields.decoder.note(
                    at,
                    &fields.path_of("main"),
                    format!("`{}` is not among the models of this analysis", main.name()),
                );
            }
            Kind::Cox {
                outcome: outcome()?,
                models,
                main,
                covariates: terms(),
            }
        }
        "competing_risks" => {
            if !context.competes {
                fields.decoder.hint(
                    at,
                    &fields.path,
                    "there is no competing event",
                    "name one as `competing` under `time_at_risk`",
                );
                return None;
            }
            Kind::CompetingRisks {
                outcome: outcome()?,
                at: days(fields, "at", &[365, 730, 1095]),
                fine_gray: fields.flag("fine_gray", context.compares),
                covariates: terms(),
            }
        }
        "incidence" => Kind::Incidence {
            outcome: outcome()?,
        },
        "rates" => Kind::Rates(rates(fields)?),
        "logistic" => Kind::Logistic {
            outcome: outcome()?,
            within: fields.days("within", 365, 1),
            models: models(fields, context),
            covariates: terms(),
        },
        "readmission" => Kind::Readmission(readmission(fields, context.sets)),
        "subgroups" => {
            let by = fields.located_list("by");
            if by.is_empty() {
                fields.require("by");
            }
            Kind::Subgroups {
                outcome: outcome()?,
                by,
                model: fields.word("model", context.main(), &MODELS),
            }
        }
        "sensitivity" => Kind::Sensitivity {
            outcome: outcome()?,
            model: fields.word("model", context.main(), &MODELS),
            grid: grid(fields)?,
        },
        _ => Kind::Sql {
            query: match fields.located("file") {
                Some(file) => files.text(fields.decoder, &file)?,
                None => {
                    fields.require("query");
                    fields.text("query")?
                }
            },
        },
    })
}

fn models(fields: &Fields<'_>, context: &Context<'_>) -> Vec<Model> {
    let Some(node) = fields.get("models") else {
        return if context.compares {
            context.all_models()
        } else {
            vec![Model::Covariates]
        };
    };
    let path = fields.path_of("models");
    let mut found: Vec<Model> = Vec::new();
    for node in fields.decoder.list(node) {
        if let Some(model) = fields.word_of(node, &path, &MODELS)
            && !found.contains(&model)
        {
            found.push(model);
        }
    }
    found
}

fn days(fields: &Fields<'_>, key: &str, default: &[i64]) -> Vec<i64> {
    let Some(node) = fields.get(key) else {
        return default.to_vec();
    };
    let path = fields.path_of(key);
    let mut days: Vec<i64> = fields
        .decoder
        .list(node)
        .iter()
        .filter_map(|node| {
            let days = fields.decoder.integer(node, &path)?;
            if days < 1 {
                fields
                    .decoder
                    .note(node.at, &path, "days from 1 on are expected here");
            }
            Some(days)
        })
        .collect();
    days.sort_unstable();
    days.dedup();
    days
}

fn rates(fields: &Fields<'_>) -> Option<Rates> {
    fields.require("event");
    let mut ages: Vec<i64> = fields.get("ages").map_or_else(
        || vec![0, 18, 30, 40, 50, 60, 70, 80],
        |node| {
            fields
                .decoder
                .list(node)
                .iter()
                .filter_map(|node| fields.decoder.integer(node, &fields.path_of("ages")))
                .collect()
        },
    );
    ages.sort_unstable();
    ages.dedup();
    let by = fields.get("by").map_or((true, true, true), |node| {
        let mut by = (false, false, false);
        for node in fields.decoder.list(node) {
            match fields.word_of(
                node,
                &fields.path_of("by"),
                &[("sex", 0), ("age", 1), ("year", 2)],
            ) {
                Some(0) => by.0 = true,
                Some(1) => by.1 = true,
                Some(_) => by.2 = true,
                None => {}
            }
        }
        by
    });
    Some(Rates {
        event: fields.located("event")?,
        among: fields.located("among"),
        exclude_prior: fields.word("prior", true, &[("exclude", true), ("allow", false)]),
        ages,
        by,
        calendar: calendar(fields),
        standard: fields.word(
            "standard",
            RateStandard::World,
            &[
                ("world", RateStandard::World),
                ("european", RateStandard::European),
                ("internal", RateStandard::Internal),
            ],
        ),
        per: fields.number_in("per", 1000.0, 1.0, 1e7),
    })
}

fn readmission(fields: &Fields<'_>, sets: &Sets) -> Readmission {
    let visits = fields
        .get("visits")
        .and_then(|node| concepts(fields.decoder, node, &fields.path_of("visits"), sets));
    let by = fields
        .get("by")
        .and_then(|node| fields.decoder.entries(node, &fields.path_of("by")))
        .unwrap_or_default()
        .iter()
        .filter_map(|(key, node)| {
            let set = concepts(fields.decoder, node, &fields.path_of("by"), sets)?;
            Some((plain(&key.name), set))
        })
        .collect();
    Readmission {
        // Inpatient visits, and emergency visits that end in one.
        visits: visits.unwrap_or(ConceptSet {
            concepts: vec![9201, 262],
            descendants: true,
            exclude: Vec::new(),
        }),
        days: fields.days("days", 30, 1),
        by,
        calendar: calendar(fields),
    }
}

fn grid(fields: &Fields<'_>) -> Option<Grid> {
    let node = fields.require("grid")?;
    let decoder = fields.decoder;
    let inner = decoder.fields(node, &fields.path_of("grid"), words::GRID)?;
    let each = |key: &str| {
        inner
            .get(key)
            .map(|node| decoder.list(node))
            .unwrap_or_default()
    };
    let mut grid = Grid::default();
    for node in each("washout") {
        grid.washout
            .extend(decoder.integer(node, &inner.path_of("washout")));
    }
    for node in each("time_at_risk_end") {
        grid.end
            .extend(risk_end(&inner, node, &inner.path_of("time_at_risk_end")));
    }
    for node in each("method") {
        grid.method
            .extend(inner.word_of(node, &inner.path_of("method"), &METHODS));
    }
    for node in each("estimand") {
        grid.estimand
            .extend(inner.word_of(node, &inner.path_of("estimand"), &ESTIMANDS));
    }
    for node in each("caliper") {
        grid.caliper
            .extend(decoder.number(node, &inner.path_of("caliper")));
    }
    for node in each("strata") {
        grid.strata
            .extend(decoder.integer(node, &inner.path_of("strata")));
    }
    Some(grid)
}
