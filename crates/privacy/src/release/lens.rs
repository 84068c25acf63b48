//! Through which treatments and row filters a role sees its tables.
//!
//! A principal's answers are kept over all of its roles: what one of them gave must not be had again through another.
//! The same SQL is another question where another role, or a later policy, shows other rows or other values to it.

use std::collections::{BTreeMap, BTreeSet};

use datafusion::common::Result;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::logical_expr::LogicalPlan;

use crate::policy::{Ages, ColumnRule, Project, View};

/// What a role's policy does to the tables that it sees.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lens {
    tables: BTreeMap<String, Seen>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Seen {
    /// Row filters, in order.
    filters: BTreeSet<String>,
    /// Treatments of the columns that are not shown as stored.
    treated: BTreeMap<String, String>,
}

impl Lens {
    /// The lens of a view.
    #[must_use]
    pub fn of(view: &View, ages: Option<Ages>, project: Option<&Project>) -> Self {
        let treatment = |rule: &ColumnRule| match rule {
            ColumnRule::Raw => None,
            ColumnRule::Pseudonym | ColumnRule::ShiftDate => Some(format!(
                "{rule:?} {:?} {ages:?}",
                project.map(|project| (
                    &project.key,
                    project.key_version,
                    project.date_shift_days,
                    project.keep_weekday
                ))
            )),
            ColumnRule::BirthYear | ColumnRule::GeneralizeDate(_) => {
                Some(format!("{rule:?} {ages:?}"))
            }
            other => Some(format!("{other:?}")),
        };
        let tables = view.tables.iter().map(|(name, table)| {
            let columns = table.columns.iter();
            let seen = Seen {
                filters: table.filters.iter().cloned().collect(),
                treated: columns
                    .filter_map(|column| Some((column.name.clone(), treatment(&column.rule)?)))
                    .collect(),
            };
            (name.clone(), seen)
        });
        Self {
            tables: tables.collect(),
        }
    }

    /// How the columns that a measure is computed from are treated: empty where all are as stored. A column is
    /// `TABLE.COLUMN`; a bare name stands for the columns of that name in all tables.
    #[must_use]
    pub fn of_columns<'a>(&self, columns: impl IntoIterator<Item = &'a str>) -> String {
        let mut treated = BTreeSet::new();
        for column in columns {
            let (of, name) = match column.rsplit_once('.') {
                Some((table, name)) => (Some(table), name),
                None => (None, column),
            };
            for (table, seen) in &self.tables {
                if of.is_none_or(|of| of == table)
                    && let Some(treatment) = seen.treated.get(name)
                {
                    treated.insert(format!("{table}.{name} {treatment}"));
                }
            }
        }
        treated.into_iter().collect::<Vec<_>>().join("; ")
    }

    /// All treatments.
    #[must_use]
    pub fn treatments(&self) -> String {
        let mut all = Vec::new();
        for (table, seen) in &self.tables {
            for (column, treatment) in &seen.treated {
                all.push(format!("{table}.{column} {treatment}"));
            }
        }
        all.join("; ")
    }

    /// What is done to the tables that a plan reads: rows and values.
    ///
    /// # Errors
    /// When the plan can't be walked through.
    pub fn of_plan(&self, plan: &LogicalPlan) -> Result<String> {
        let mut read = BTreeSet::new();
        plan.apply_with_subqueries(|node| {
            if let LogicalPlan::TableScan(scan) = node {
                read.insert(scan.table_name.table().to_owned());
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        let seen: BTreeMap<&String, &Seen> = self
            .tables
            .iter()
            .filter(|(name, seen)| read.contains(*name) && **seen != Seen::default())
            .collect();
        Ok(if seen.is_empty() {
            String::new()
        } else {
            format!("{seen:?}")
        })
    }
}
