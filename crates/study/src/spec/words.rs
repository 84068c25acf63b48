//! The fields that each part of a specification knows; the JSON Schema is tested against these.

pub(crate) const STUDY: &[&str] = &[
    "title",
    "question",
    "population",
    "authors",
    "limitations",
    "confidence",
    "concept_sets",
    "cohorts",
    "design",
    "time_at_risk",
    "outcomes",
    "negative_controls",
    "covariates",
    "propensity",
    "analyses",
    "outputs",
];
pub(crate) const CONCEPT_SET: &[&str] = &["concepts", "descendants", "exclude"];
pub(crate) const COHORT: &[&str] = &[
    "label",
    "condition",
    "drug",
    "procedure",
    "measurement",
    "observation",
    "device",
    "visit",
    "death",
    "sql",
    "sql_file",
    "definition",
    "run",
    "cohort",
    "gap",
];
pub(crate) const DESIGN: &[&str] = &[
    "target",
    "comparator",
    "index",
    "observation",
    "washout",
    "age",
    "sex",
    "calendar",
    "require",
    "exclude",
    "both",
];
pub(crate) const CRITERION: &[&str] = &["cohort", "window", "label"];
pub(crate) const TIME_AT_RISK: &[&str] = &["start", "end", "grace", "censor_at", "competing"];
pub(crate) const OUTCOME: &[&str] = &["cohort", "label", "prior", "prior_days"];
pub(crate) const COVARIATES: &[&str] = &["demographics", "named", "sparse"];
pub(crate) const COVARIATE: &[&str] = &[
    "label",
    "condition",
    "drug",
    "procedure",
    "measurement",
    "observation",
    "device",
    "visit",
    "cohort",
    "index",
    "score",
    "sql",
    "window",
    "value",
    "missing",
    "unit",
];
pub(crate) const SCORE: &[&str] = &["condition", "weight", "label"];
pub(crate) const SPARSE: &[&str] = &["domains", "window", "hierarchy", "min_persons", "exclude"];
pub(crate) const PROPENSITY: &[&str] = &[
    "covariates",
    "sparse",
    "model",
    "method",
    "estimand",
    "trim",
    "ratio",
    "caliper",
    "strata",
    "folds",
];
pub(crate) const OUTPUTS: &[&str] = &["tables", "figures", "report"];
pub(crate) const ANALYSES: &[&str] = &[
    "attrition",
    "table_one",
    "propensity",
    "kaplan_meier",
    "cox",
    "competing_risks",
    "incidence",
    "rates",
    "logistic",
    "readmission",
    "negative_controls",
    "subgroups",
    "sensitivity",
    "sql",
];
pub(crate) const TABLE_ONE: &[&str] = &["id", "title", "variables"];
pub(crate) const PLAIN: &[&str] = &["id", "title"];
pub(crate) const KAPLAN_MEIER: &[&str] = &["id", "title", "outcome", "adjusted", "at", "rmst"];
pub(crate) const COX: &[&str] = &["id", "title", "outcome", "models", "main", "covariates"];
pub(crate) const COMPETING_RISKS: &[&str] =
    &["id", "title", "outcome", "at", "fine_gray", "covariates"];
pub(crate) const INCIDENCE: &[&str] = &["id", "title", "outcome"];
pub(crate) const RATES: &[&str] = &[
    "id", "title", "event", "among", "prior", "ages", "by", "calendar", "standard", "per",
];
pub(crate) const LOGISTIC: &[&str] = &["id", "title", "outcome", "within", "models", "covariates"];
pub(crate) const READMISSION: &[&str] = &["id", "title", "visits", "days", "by", "calendar"];
pub(crate) const SUBGROUPS: &[&str] = &["id", "title", "outcome", "by", "model"];
pub(crate) const SENSITIVITY: &[&str] = &["id", "title", "outcome", "model", "grid"];
pub(crate) const GRID: &[&str] = &[
    "washout",
    "time_at_risk_end",
    "method",
    "estimand",
    "caliper",
    "strata",
];
pub(crate) const SQL: &[&str] = &["id", "title", "query", "file"];
