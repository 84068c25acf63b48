//! Policies as code: who may see what, for which purpose, and how much of it.
//!
//! A policy is one TOML file. Everything is denied until a rule allows it, and rules combine by AND: a rule can
//! open what no other rule speaks of, and never widens what another one restricts.

mod check;
mod column;
mod fits;
mod identifiers;
mod problem;
mod read;
mod shifts;
mod template;
mod view;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

pub use column::{ColumnRule, DateUnit};
pub(crate) use problem::nearest;
pub use problem::{PolicyError, Problem, Severity};
pub use template::{START_PROFILES, start};
pub(crate) use view::named_record;
pub use view::{ColumnView, Table, TableView, View, identifier_class};

use columna_model::Day;

use crate::{Error, Principal, Result};

/// A policy.
#[derive(Debug, Clone)]
pub struct Policy {
    /// What its file is called.
    pub file: String,
    /// The author's number for it, which the audit log names.
    pub version: u64,
    /// BLAKE3 of its text, in hexadecimal: it names the exact rules that an answer was made under.
    pub hash: String,
    /// Where it was read from, if from a file.
    pub path: Option<std::path::PathBuf>,
    /// The text that it was read from.
    pub text: String,
    /// The roles, by name.
    pub roles: BTreeMap<String, Role>,
    /// The projects, by name.
    pub projects: BTreeMap<String, Project>,
    /// Above which age a person's age must not show.
    pub ages: Option<Ages>,
    pub(crate) ages_span: Range<usize>,
    /// The rules, in the order of the file.
    pub rules: Vec<Rule>,
}

/// What kind of answers a role gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RoleKind {
    /// Everything; its statements are on record like all others.
    Steward,
    /// Rows, as far as the rules allow them.
    Analyst,
    /// Disclosure-controlled aggregates only.
    Aggregate,
    /// Differentially private aggregates only.
    Dp,
}

impl RoleKind {
    pub(crate) const NAMES: [(&'static str, Self); 4] = [
        ("steward", Self::Steward),
        ("analyst", Self::Analyst),
        ("aggregate", Self::Aggregate),
        ("dp", Self::Dp),
    ];
}

impl fmt::Display for RoleKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = Self::NAMES.iter().find(|(_, kind)| kind == self);
        f.write_str(found.map_or("", |(name, _)| name))
    }
}

/// A role.
#[derive(Debug, Clone)]
pub struct Role {
    /// Its name.
    pub name: String,
    /// What kind of answers it gets.
    pub kind: RoleKind,
    /// What it may work for. Never empty.
    pub purposes: Vec<String>,
    /// The projects it may work in.
    pub projects: Vec<String>,
    /// How an aggregate role's answers are made safe.
    pub disclosure: Option<Disclosure>,
    /// What a differentially private role may spend, and within which bounds.
    pub dp: Option<Dp>,
    pub(crate) span: Range<usize>,
}

/// A domain of pseudonyms: the same key, the same offsets of dates.
#[derive(Debug, Clone)]
pub struct Project {
    /// Its name.
    pub name: String,
    /// The key's name in the key source; the project's name unless told.
    pub key: String,
    /// Which version of the key; the newest unless told.
    pub key_version: Option<u32>,
    /// Dates are moved by up to this many days, both ways.
    pub date_shift_days: u32,
    /// Dates are moved by whole weeks.
    pub keep_weekday: bool,
}

/// Above which age a person's age must not show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ages {
    /// The highest age that shows: 89.
    pub over: u16,
    /// The day on which ages are reckoned. It must not be before the last day of the data.
    pub on: Day,
}

/// How an aggregate role's answers are made safe: a named profile, and where a policy differs from it.
#[derive(Debug, Clone, PartialEq)]
pub struct Disclosure {
    /// `opensafely`, `cms`, `ohdsi`, `sacro` or `datashield`.
    pub profile: String,
    /// At least this many distinct persons behind a cell.
    pub k: Option<u32>,
    /// Counts are rounded to a multiple of this.
    pub round_to: Option<u32>,
    /// Dominance: the largest this many contributors …
    pub dominance_n: Option<u32>,
    /// … must not hold more than this share of a total.
    pub dominance_share: Option<f64>,
    /// The p-ratio: what remains of a total without its two largest contributors, relative to the largest.
    pub p_ratio: Option<f64>,
    /// A model needs at least this many events per coefficient.
    pub events_per_coefficient: Option<u32>,
}

/// What a differentially private role may spend, and within which bounds.
#[derive(Debug, Clone, PartialEq)]
pub struct Dp {
    /// Epsilon that a principal may spend in a project, together.
    pub epsilon: f64,
    /// The delta at which epsilon is stated.
    pub delta: f64,
    /// What one query spends unless it asks for less.
    pub epsilon_per_query: f64,
    /// A person counts in at most this many groups of an answer.
    pub max_groups: u32,
    /// A person counts with at most this many rows in a group.
    pub max_rows: u32,
    /// The lowest and highest value of a column, by (table, column). A column without is refused.
    pub bounds: BTreeMap<(String, String), (f64, f64)>,
    /// The values of a column that groups are shown for, whether or not any person has them.
    pub keys: BTreeMap<(String, String), Vec<KeyValue>>,
}

/// A declared group key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyValue {
    /// A whole number.
    Integer(i64),
    /// A text.
    Text(String),
    /// Yes or no.
    Boolean(bool),
}

/// A rule: what some roles may see of some tables.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Its name, which messages and `policy show` give.
    pub name: String,
    /// The roles it is for; all, if none is named.
    pub roles: Vec<String>,
    /// The purposes it is for; all, if none is named.
    pub purposes: Vec<String>,
    /// The projects it is for; all, if none is named.
    pub projects: Vec<String>,
    /// The tables it speaks of.
    pub tables: Vec<TablePattern>,
    /// Which rows: a condition on the stored values of a row.
    pub filter: Option<Spanned<String>>,
    /// What is seen of columns by their identifier class.
    pub classes: BTreeMap<String, Spanned<ColumnRule>>,
    /// What is seen of columns by their name.
    pub columns: BTreeMap<String, Spanned<ColumnRule>>,
    pub(crate) span: Range<usize>,
}

/// A thing of the file and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spanned<T> {
    /// The thing.
    pub value: T,
    pub(crate) span: Range<usize>,
}

impl Spanned<String> {
    /// The byte of the file that a byte of the text is; `None` where the text is written with escapes.
    pub(crate) fn byte_within(&self, file: &str, byte: usize) -> Option<usize> {
        let written = file.get(self.span.clone())?;
        Some(self.span.start + written.find(self.value.as_str())? + byte)
    }
}

/// Tables by name, by kind, or all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TablePattern {
    /// `*`.
    All,
    /// `@vocabulary` and the like.
    Kind(columna_model::TableKind),
    /// One table.
    Name(Spanned<String>),
}

impl Policy {
    /// Reads a policy; `file` is what messages call it.
    ///
    /// # Errors
    /// When something in it is wrong; all findings are given, each with line and column.
    pub fn parse(file: &str, text: &str) -> Result<Self, PolicyError> {
        read::policy(file, text)
    }

    /// Reads a policy's file.
    ///
    /// # Errors
    /// When it can't be read, or something in it is wrong.
    pub fn load(path: &std::path::Path) -> Result<Self> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|source| Error::Io {
            doing: "read the policy",
            what: file.clone(),
            source,
        })?;
        let mut policy = Self::parse(&file, &text)?;
        // The file itself: a session that changes its folder, or a link that is moved, must not lose it.
        policy.path = Some(std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf()));
        Ok(policy)
    }

    /// Whether its file still says what it said. A policy of no file never changes.
    #[must_use]
    pub fn is_in_force(&self) -> bool {
        self.path
            .as_ref()
            .is_none_or(|path| std::fs::read_to_string(path).is_ok_and(|text| text == self.text))
    }

    /// A principal's role, where the policy lets it work for its purpose in its project.
    ///
    /// # Errors
    /// A refusal that says what is not allowed and what would be.
    pub fn role(&self, principal: &Principal) -> Result<&Role> {
        let Some(role) = self.roles.get(&principal.role) else {
            let known: Vec<&str> = self.roles.keys().map(String::as_str).collect();
            return Err(Error::refused(
                "role",
                format!("the policy has no role `{}`", principal.role),
                format!("its roles are {}", listed(&known)),
            ));
        };
        if !role.purposes.contains(&principal.purpose) {
            let known: Vec<&str> = role.purposes.iter().map(String::as_str).collect();
            return Err(Error::refused(
                "purpose",
                if principal.purpose.is_empty() {
                    format!("the role `{}` works for a stated purpose only", role.name)
                } else {
                    format!(
                        "the role `{}` may not work for the purpose `{}`",
                        role.name, principal.purpose
                    )
                },
                format!("give one with `--purpose`: {}", listed(&known)),
            ));
        }
        let known: Vec<&str> = role.projects.iter().map(String::as_str).collect();
        match &principal.project {
            Some(project) if !role.projects.contains(project) => Err(Error::refused(
                "project",
                format!(
                    "the role `{}` may not work in the project `{project}`",
                    role.name
                ),
                if known.is_empty() {
                    "leave `--project` out".to_owned()
                } else {
                    format!("give one with `--project`: {}", listed(&known))
                },
            )),
            None if role.projects.len() > 1 => Err(Error::refused(
                "project",
                format!("the role `{}` works in several projects", role.name),
                format!("give one with `--project`: {}", listed(&known)),
            )),
            _ => Ok(role),
        }
    }

    /// The project a principal works in: the one it names, or its role's only one.
    #[must_use]
    pub fn project(&self, principal: &Principal) -> Option<&Project> {
        let role = self.roles.get(&principal.role)?;
        let name = match (&principal.project, role.projects.as_slice()) {
            (Some(name), _) => name,
            (None, [only]) => only,
            _ => return None,
        };
        self.projects.get(name)
    }
}

/// Names for a message: `a`, `b` and `c`.
pub(crate) fn listed(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.as_slice() {
        [] => "none".to_owned(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
