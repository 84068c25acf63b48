//! Checks a specification against a store without running it: tables, concepts, and what queries would give.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::prelude::SessionContext;

use crate::error::{Error, Result, said};
use crate::frame;
use crate::problem::{Problem, Spot, nearest};
use crate::spec::{ConceptSet, CovariateSource, Domain, Kind, Source, Study};
use crate::steps::cohort::NO_DEFINITIONS;
use crate::steps::statements::{ask, gate, has_table};
use crate::yaml::{self, Node, Value};

/// Where something stands in a specification, by the way to it; the nearest place above it that is there.
fn spot(tree: &Node, path: &str) -> Spot {
    let mut at = tree.at;
    let mut node = tree;
    for part in path.split('.') {
        let Value::Map(entries) = &node.value else {
            break;
        };
        let Some((key, next)) = entries.iter().find(|(key, _)| key.name == part) else {
            break;
        };
        at = key.at;
        node = next;
    }
    at
}

/// What steps read of the model's tables, beside records of a concept. Months and days of birth may be unknown.
const PERSON: [&str; 3] = ["person_id", "year_of_birth", "gender_concept_id"];
const OBSERVED: [&str; 3] = [
    "person_id",
    "observation_period_start_date",
    "observation_period_end_date",
];
const DEATH: [&str; 2] = ["person_id", "death_date"];
const VISIT: [&str; 5] = [
    "visit_occurrence_id",
    "person_id",
    "visit_start_date",
    "visit_end_date",
    "visit_concept_id",
];

struct Checker<'a> {
    ctx: &'a SessionContext,
    tree: Node,
    problems: Vec<Problem>,
    /// Queries are planned.
    queries: bool,
    /// Concepts with the place that asks for them.
    concepts: BTreeMap<i64, (Spot, String)>,
}

impl Checker<'_> {
    fn note(&mut self, at: Spot, path: &str, message: String, hint: Option<String>) {
        self.problems.push(Problem {
            at,
            path: path.to_owned(),
            message,
            hint,
        });
    }

    fn spot(&self, path: &str) -> Spot {
        spot(&self.tree, path)
    }

    async fn table(&mut self, path: &str, table: &str) {
        if has_table(self.ctx, table).await {
            return;
        }
        let names: Vec<String> = self
            .ctx
            .catalog(&self.ctx.state().config_options().catalog.default_catalog)
            .and_then(|catalog| {
                catalog.schema(&self.ctx.state().config_options().catalog.default_schema)
            })
            .map(|schema| schema.table_names())
            .unwrap_or_default();
        let hint = nearest(table, names.iter().map(String::as_str))
            .map(|near| format!("the nearest is `{near}`"));
        self.note(
            self.spot(path),
            path,
            format!("the store has no table `{table}`"),
            hint,
        );
    }

    /// A table with the columns that a step reads of it. A policy may show one without the other.
    async fn columns(&mut self, path: &str, at: Spot, table: &str, columns: &[&str]) {
        let Ok(provider) = self.ctx.table_provider(table).await else {
            return self.table(path, table).await;
        };
        let schema = provider.schema();
        let restricted = gate(self.ctx).filter(|gate| gate.restricts());
        for column in columns {
            if schema.index_of(column).is_ok() {
                continue;
            }
            let (who, hint) = match &restricted {
                Some(gate) => (
                    format!("the role `{}` does not see", gate.role()),
                    "`columna privacy policy show` prints what a role sees; ask the policy's author".to_owned(),
                ),
                None => (
                    "the store does not have".to_owned(),
                    "`columna info` lists what it has".to_owned(),
                ),
            };
            let message = format!("needs `{table}.{column}`, which {who}");
            self.note(at, path, message, Some(hint));
        }
    }

    async fn set(&mut self, path: &str, domain: Domain, set: &ConceptSet) {
        let (table, concept, start, _, _) = domain.columns();
        let at = self.spot(path);
        self.columns(path, at, table, &["person_id", concept, start])
            .await;
        self.set_concepts(path, set).await;
    }

    async fn set_concepts(&mut self, path: &str, set: &ConceptSet) {
        let at = self.spot(path);
        for concept in set.concepts.iter().chain(&set.exclude) {
            self.concepts
                .entry(*concept)
                .or_insert((at, path.to_owned()));
        }
        if (set.descendants || !set.exclude.is_empty())
            && !has_table(self.ctx, "concept_ancestor").await
        {
            let hint = "ingest a vocabulary, or say `descendants: false`".to_owned();
            self.note(
                at,
                path,
                "the store has no table `concept_ancestor`, which knows what is below a concept"
                    .to_owned(),
                Some(hint),
            );
        }
    }

    /// Plans a query; the answer is its schema.
    async fn query(&mut self, path: &str, at: Spot, query: &str) -> Option<Schema> {
        if !self.queries {
            return None;
        }
        match columna_query::script::plan(
            self.ctx,
            query,
            &columna_query::script::Parameters::new(),
        )
        .await
        {
            Ok(plan) => {
                let schema = plan.schema().as_arrow().clone();
                // That is its answer.
                match gate(self.ctx).map(|gate| gate.ended(None)) {
                    Some(Err(error)) => {
                        self.note(at, path, error.to_string(), None);
                        None
                    }
                    _ => Some(schema),
                }
            }
            Err(error) => {
                let (text, hint) = said(&error, self.ctx);
                self.note(at, path, text, hint);
                None
            }
        }
    }

    fn column(
        &mut self,
        path: &str,
        at: Spot,
        schema: &Schema,
        names: &[&str],
        fits: fn(&DataType) -> bool,
        kind: &str,
    ) {
        match names
            .iter()
            .find_map(|name| schema.field_with_name(name).ok())
        {
            None => self.note(
                at,
                path,
                format!("the query has no column `{}`", names[0]),
                Some(format!("name a column so with `AS {}`", names[0])),
            ),
            Some(field) if !fits(field.data_type()) => {
                let message = format!(
                    "the column `{}` is {}, and {kind} is needed",
                    field.name(),
                    field.data_type()
                );
                self.note(at, path, message, Some("convert it with `CAST`".to_owned()));
            }
            Some(_) => {}
        }
    }
}

fn number(kind: &DataType) -> bool {
    kind.is_numeric() || *kind == DataType::Boolean
}

fn date(kind: &DataType) -> bool {
    matches!(
        kind,
        DataType::Date32 | DataType::Date64 | DataType::Timestamp(..)
    )
}

/// Checks a study against the tables of a session.
///
/// # Errors
///
/// [`Error::Specification`] with everything that does not fit; whatever the engine says when it can't be asked.
pub async fn check(study: &Study, ctx: &SessionContext) -> Result<()> {
    checked(study, ctx, true).await
}

/// Checks that a session of a role has what the steps read of the model's tables. Others have what the store has, and whatever of
/// a study can be done with that is done.
///
/// # Errors
///
/// [`Error::Specification`] with everything that it does not have.
pub(crate) async fn check_role(study: &Study, ctx: &SessionContext) -> Result<()> {
    match gate(ctx).is_some_and(|gate| gate.restricts()) {
        true => checked(study, ctx, false).await,
        false => Ok(()),
    }
}

async fn checked(study: &Study, ctx: &SessionContext, queries: bool) -> Result<()> {
    let tree = yaml::parse(&study.text).map_err(|problem| Error::Specification {
        path: study.path.clone(),
        text: study.text.clone(),
        problems: vec![problem],
    })?;
    let mut checker = Checker {
        ctx,
        tree,
        problems: Vec::new(),
        queries,
        concepts: BTreeMap::new(),
    };
    let spec = &study.spec;
    for cohort in &spec.cohorts {
        let path = format!("cohorts.{}", cohort.name);
        match &cohort.source {
            Source::Records {
                domain, concepts, ..
            } => {
                checker
                    .set(&format!("{path}.{}", domain.name()), *domain, concepts)
                    .await;
                let path = format!("{path}.{}", domain.name());
                let at = checker.spot(&path);
                let (table, _, start, end, _) = domain.columns();
                if end != start && has_table(ctx, table).await {
                    checker.columns(&path, at, table, &[end]).await;
                }
            }
            Source::Death => {
                let at = checker.spot(&path);
                checker.columns(&path, at, "death", &DEATH).await;
            }
            Source::Sql(query) => {
                let path = format!("{path}.sql");
                let at = checker.spot(&path);
                if let Some(schema) = checker.query(&path, at, query).await {
                    checker.column(
                        &path,
                        at,
                        &schema,
                        &["person_id", "subject_id"],
                        number,
                        "a whole number",
                    );
                    checker.column(
                        &path,
                        at,
                        &schema,
                        &["start_date", "cohort_start_date", "index_date"],
                        date,
                        "a date",
                    );
                }
            }
            Source::Definition { .. } => {
                if !ctx.state().table_functions().contains_key("cohort") {
                    let at = checker.spot(&format!("{path}.definition"));
                    checker.note(
                        at,
                        &path,
                        NO_DEFINITIONS.to_owned(),
                        Some("define the cohort by `sql`".to_owned()),
                    );
                }
            }
            Source::Run { .. } => {}
        }
    }
    if spec.design.is_some() {
        let at = checker.spot("design");
        checker.columns("design", at, "person", &PERSON).await;
        checker
            .columns("design", at, "observation_period", &OBSERVED)
            .await;
        if has_table(ctx, "death").await {
            checker.columns("design", at, "death", &DEATH).await;
        }
    }
    for covariate in &spec.covariates.named {
        let path = format!("covariates.named.{}", covariate.name);
        match &covariate.source {
            CovariateSource::Records(domain, set) => {
                checker
                    .set(&format!("{path}.{}", domain.name()), *domain, set)
                    .await;
            }
            CovariateSource::Score(items) => {
                for (set, _) in items {
                    checker.set(&path, Domain::Condition, set).await;
                }
            }
            CovariateSource::Index(_) => checker.table(&path, "condition_occurrence").await,
            CovariateSource::Sql(query) => {
                let path = format!("{path}.sql");
                let at = checker.spot(&path);
                if let Some(schema) = checker.query(&path, at, query).await {
                    checker.column(&path, at, &schema, &["person_id"], number, "a whole number");
                    checker.column(&path, at, &schema, &["value"], number, "a number");
                }
            }
            CovariateSource::Cohort(_) => {}
        }
    }
    if queries {
        study_tables(study, ctx)?;
    }
    for analysis in &spec.analyses {
        match &analysis.kind {
            Kind::Sql { query } => {
                checker.query("analyses.sql", analysis.at, query).await;
            }
            Kind::Readmission(readmission) => {
                let at = analysis.at;
                checker
                    .columns("analyses", at, "visit_occurrence", &VISIT)
                    .await;
                checker
                    .columns("analyses", at, "observation_period", &OBSERVED)
                    .await;
                for (_, set) in &readmission.by {
                    checker.set_concepts("analyses", set).await;
                }
            }
            Kind::Rates(_) => {
                let at = analysis.at;
                checker.columns("analyses", at, "person", &PERSON).await;
                checker
                    .columns("analyses", at, "observation_period", &OBSERVED)
                    .await;
            }
            _ => {}
        }
    }
    if queries {
        concepts(&mut checker).await?;
    }
    let mut problems = checker.problems;
    problems.sort_by_key(|problem| problem.at);
    problems.dedup();
    if problems.is_empty() {
        Ok(())
    } else {
        Err(Error::Specification {
            path: study.path.clone(),
            text: study.text.clone(),
            problems,
        })
    }
}

/// Concepts that the vocabulary does not know are most often typing errors.
async fn concepts(checker: &mut Checker<'_>) -> Result<()> {
    if checker.concepts.is_empty() || !has_table(checker.ctx, "concept").await {
        return Ok(());
    }
    let list = checker
        .concepts
        .keys()
        .map(i64::to_string)
        .collect::<Vec<_>>()
        .join(", ");
    let answer = ask(
        checker.ctx,
        &format!("SELECT concept_id FROM concept WHERE concept_id IN ({list})"),
    )
    .await?;
    let known: Vec<i64> = frame::integers(&answer, "concept_id")?
        .into_iter()
        .flatten()
        .collect();
    let unknown: Vec<(i64, Spot, String)> = checker
        .concepts
        .iter()
        .filter(|(concept, _)| !known.contains(concept))
        .map(|(concept, (at, path))| (*concept, *at, path.clone()))
        .collect();
    for (concept, at, path) in unknown {
        checker.note(
            at,
            &path,
            format!("the vocabulary of this store has no concept {concept}"),
            None,
        );
    }
    Ok(())
}

/// The study's own tables, empty, so that queries over them can be planned.
fn study_tables(study: &Study, ctx: &SessionContext) -> Result<()> {
    let whole = |name: &str| Field::new(name, DataType::Int64, true);
    let day = |name: &str| Field::new(name, DataType::Date32, true);
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let float = |name: &str| Field::new(name, DataType::Float64, true);
    let mut tables: Vec<(String, Vec<Field>)> = Vec::new();
    for cohort in &study.spec.cohorts {
        tables.push((
            format!("cohort_{}", cohort.name),
            vec![whole("person_id"), day("start_date"), day("end_date")],
        ));
    }
    if study.spec.design.is_some() {
        let mut population = vec![whole("person_id"), whole("target")];
        population.extend(
            [
                "index_date",
                "cohort_end_date",
                "observation_start_date",
                "observation_end_date",
                "death_date",
            ]
            .map(day),
        );
        population.extend(["age", "male", "index_year"].map(whole));
        tables.push(("population".to_owned(), population));
        let names = (study
            .spec
            .covariates
            .demographics
            .iter()
            .map(|one| one.name().to_owned()))
        .chain(
            study
                .spec
                .covariates
                .named
                .iter()
                .map(|one| one.name.clone()),
        );
        let mut covariates = vec![whole("person_id")];
        covariates.extend(names.map(|name| float(&name)));
        tables.push(("covariates".to_owned(), covariates));
        for outcome in study
            .spec
            .outcomes
            .iter()
            .chain(&study.spec.negative_controls)
        {
            tables.push((
                format!("follow_up_{}", outcome.name),
                vec![
                    whole("person_id"),
                    text("status"),
                    whole("time"),
                    whole("event"),
                ],
            ));
        }
        tables.push((
            "propensity".to_owned(),
            vec![
                whole("person_id"),
                whole("target"),
                float("score"),
                float("weight"),
                whole("stratum"),
                whole("matched_set"),
            ],
        ));
    }
    for (name, fields) in tables {
        ctx.register_batch(
            &name,
            RecordBatch::new_empty(std::sync::Arc::new(Schema::new(fields))),
        )?;
    }
    Ok(())
}
