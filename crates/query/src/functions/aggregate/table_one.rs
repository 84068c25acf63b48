//! `table_one(variables, group)`: what the groups of a study look like, variable by variable.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, StringArray};
use arrow::datatypes::DataType;
use columna_stats::description::table_one::{Spread, Variable, smd_of_labels, smd_of_numbers};
use columna_stats::{Grouped, Summary};
use datafusion::common::{DataFusionError, Result, internal_datafusion_err};
use datafusion::logical_expr::Documentation;

use super::adapter::output::{list_of, lists, numbers, struct_of};
use super::adapter::{
    Batch, BatchRows, Counted, Label, Options, Parameter, Role, RowSummary, State, StateBuilder,
    Statistic, TermKind, labels, numbers as to_numbers, refused, term_kind,
};
use crate::functions::docs::DESCRIPTION;

static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| {
    Documentation::builder(
        DESCRIPTION,
        "The table one of a study: a list with a struct for each variable (of words and booleans, for each of its levels) \
         and group, in the order of the variables, of `variable`, `level`, `group`, `n` (rows in which it is known), `missing`, \
         `count` and `share` of the level among those known, or `mean`, `sd`, `min`, `q1`, `median`, `q3` and `max` of \
         numbers, and `smd`, the absolute standardised mean difference between the groups: of words over all levels, and of \
         more than two groups the mean over all pairs, as R's tableone. Quartiles are R's type 7. Rows with a NULL \
         variable are counted as `missing`; rows with a NULL group are left out.",
        "table_one(variables[, group => g])",
    )
    .with_argument("variables", "What is described, `named_struct('age', age, 'sex', sex)`")
    .with_argument("group", "The groups that are compared; one group without it")
    .with_sql_example(
        "> SELECT t.variable AS variable, t.level AS level, t.\"group\" AS arm, t.n AS n, t.missing AS missing, t.count AS count,
      round(t.mean, 2) AS mean, round(t.smd, 3) AS smd FROM (
    SELECT unnest(table_one(named_struct('age', age, 'sex', sex), group => arm)) AS t
    FROM (VALUES (60, 'F', 'a'), (70, 'M', 'a'), (NULL, 'M', 'a'), (50, 'F', 'b'), (60, 'F', 'b'), (70, 'M', 'b')) AS d(age, sex, arm));
+----------+-------+-----+---+---------+-------+------+-------+
| variable | level | arm | n | missing | count | mean | smd   |
+----------+-------+-----+---+---------+-------+------+-------+
| age      |       | a   | 2 | 1       |       | 65.0 | 0.577 |
| age      |       | b   | 3 | 0       |       | 60.0 | 0.577 |
| sex      | F     | a   | 3 | 0       | 1     |      | 0.707 |
| sex      | F     | b   | 3 | 0       | 2     |      | 0.707 |
| sex      | M     | a   | 3 | 0       | 2     |      | 0.707 |
| sex      | M     | b   | 3 | 0       | 1     |      | 0.707 |
+----------+-------+-----+---+---------+-------+------+-------+",
    )
    .build()
});

/// The variables of a batch.
pub(crate) struct VariableRows {
    columns: Vec<Column>,
    group: Option<StringArray>,
    counted: Counted,
}

enum Column {
    Numbers(Float64Array),
    Labels(StringArray),
}

impl BatchRows for VariableRows {
    fn read(batch: &Batch<'_>) -> Result<Self> {
        let variables = batch.required(Role::Covariates)?;
        let variables = variables
            .as_struct_opt()
            .ok_or_else(|| internal_datafusion_err!("variables are {}", variables.data_type()))?;
        let columns = variables.clone().flatten().1;
        let columns = columns.iter().map(|column| {
            if counted_as_labels(column.data_type()) {
                labels(column).map(Column::Labels)
            } else {
                to_numbers(column).map(Column::Numbers)
            }
        });
        let group = batch.role(Role::Group).map(labels).transpose()?;
        Ok(Self {
            columns: columns.collect::<Result<_>>()?,
            counted: batch.counted([group.as_ref().and_then(|group| group.nulls())]),
            group,
        })
    }

    fn counted(&self) -> &Counted {
        &self.counted
    }
}

/// Yes and no are counted, as words are.
fn counted_as_labels(data_type: &DataType) -> bool {
    data_type == &DataType::Boolean || term_kind(data_type) == Some(TermKind::Word)
}

/// The variables of one group, in their order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Variables(Vec<Variable>);

impl Summary for Variables {
    fn merge(&mut self, other: Self) {
        if self.0.is_empty() {
            self.0 = other.0;
            return;
        }
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            mine.merge(theirs);
        }
    }

    fn is_empty(&self) -> bool {
        self.0.iter().all(Summary::is_empty)
    }
}

/// The variables of each group.
type ByGroup = Grouped<Label, Variables>;

fn corrupt() -> DataFusionError {
    internal_datafusion_err!("the partial state of a table one is cut short")
}

fn length(number: u64) -> Result<usize> {
    usize::try_from(number).map_err(|_| corrupt())
}

impl RowSummary for ByGroup {
    type Rows = VariableRows;

    fn add_row(&mut self, rows: &VariableRows, row: usize) -> Result<()> {
        let group = rows.group.as_ref().map_or("", |group| group.value(row));
        let variables = &mut self.entry(Label(group.to_owned())).0;
        variables.resize(rows.columns.len(), Variable::default());
        for (variable, column) in variables.iter_mut().zip(&rows.columns) {
            match column {
                Column::Numbers(values) if values.is_valid(row) => variable
                    .add_number(values.value(row))
                    .map_err(|error| refused(&error))?,
                Column::Labels(words) if words.is_valid(row) => {
                    variable.add_label(words.value(row))
                }
                _ => variable.missing += 1,
            }
        }
        Ok(())
    }

    /// Numbers of groups and variables; then by group and variable, how many numbers and levels it has, how many rows
    /// miss it, and how often each level is seen. The numbers themselves; each group's name and levels.
    fn write(&self, state: &mut StateBuilder) {
        let (mut ints, mut floats, mut words) = (Vec::new(), Vec::new(), Vec::new());
        for (group, variables) in self.iter() {
            words.push(group.0.as_str());
            ints.push(variables.0.len() as u64);
            for variable in &variables.0 {
                let values = variable.numbers.values();
                ints.extend([
                    values.len() as u64,
                    variable.levels.len() as u64,
                    variable.missing,
                ]);
                floats.extend_from_slice(values);
                for (level, count) in &variable.levels {
                    words.push(level);
                    ints.push(*count);
                }
            }
        }
        state.append(&ints, &floats, &words);
    }

    fn read(&mut self, state: &State<'_>) -> Result<()> {
        let mut ints = state.ints.iter().copied();
        let mut floats = state.floats.iter().copied();
        let mut words = state.labels.iter().flatten();
        while let Some(group) = words.next() {
            let mut variables = Variables::default();
            for _ in 0..ints.next().ok_or_else(corrupt)? {
                let mut next = || ints.next().ok_or_else(corrupt);
                let (values, levels, missing) = (length(next()?)?, next()?, next()?);
                let mut variable = Variable {
                    missing,
                    ..Variable::default()
                };
                for _ in 0..values {
                    let value = floats.next().ok_or_else(corrupt)?;
                    variable
                        .add_number(value)
                        .map_err(|error| refused(&error))?;
                }
                for _ in 0..levels {
                    let level = words.next().ok_or_else(corrupt)?;
                    variable.levels.insert(level.to_owned(), next()?);
                }
                variables.0.push(variable);
            }
            self.entry(Label(group.to_owned())).merge(variables);
        }
        Ok(())
    }

    fn heap_bytes(&self) -> usize {
        let of_group = |(group, variables): (&Label, &Variables)| {
            let variables = variables.0.iter();
            group.0.len()
                + 64
                + variables
                    .map(|v| size_of::<Variable>() + v.heap_bytes())
                    .sum::<usize>()
        };
        self.iter().map(of_group).sum()
    }
}

#[derive(Debug)]
pub(crate) struct TableOptions {
    /// The name of each variable, and whether its levels are counted.
    variables: Vec<(String, bool)>,
    grouped: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) struct TableOne;

impl Statistic for TableOne {
    type Summary = ByGroup;
    type Options = TableOptions;

    const NAME: &'static str = "table_one";
    const PARAMETERS: &'static [Parameter] = &[
        Parameter::required("variables", Role::Covariates),
        Parameter::optional("group", Role::Group),
    ];

    fn documentation() -> &'static Documentation {
        &DOCUMENTATION
    }

    fn output(_arguments: &[DataType]) -> DataType {
        let (word, whole) = (DataType::Utf8, DataType::Int64);
        let mut columns = vec![
            ("variable", word.clone()),
            ("level", word.clone()),
            ("group", word),
            ("n", whole.clone()),
            ("missing", whole.clone()),
            ("count", whole),
        ];
        columns.extend(NUMBERS.map(|name| (name, DataType::Float64)));
        list_of(struct_of(&columns))
    }

    fn options(given: &Options) -> Result<TableOptions> {
        let mut variables = Vec::new();
        if let Some(DataType::Struct(fields)) = given.column("variables") {
            let fields = fields.iter();
            variables.extend(fields.map(|field| {
                let labels = counted_as_labels(field.data_type());
                (field.name().clone(), labels)
            }));
        }
        Ok(TableOptions {
            variables,
            grouped: given.column("group").is_some(),
        })
    }

    fn evaluate(
        summaries: &[Option<&ByGroup>],
        options: &TableOptions,
        output: &DataType,
    ) -> Result<ArrayRef> {
        let mut lines = Lines::default();
        for summary in summaries {
            let before = lines.variable.len();
            if let Some(groups) = summary {
                lines.describe(groups, options)?;
            }
            let length = lines.variable.len() - before;
            lines.lengths.push(summary.is_some().then_some(length));
        }
        lines.finish(output)
    }
}

/// The columns of numbers, after the counts.
const NUMBERS: [&str; 9] = [
    "share", "mean", "sd", "min", "q1", "median", "q3", "max", "smd",
];

/// The lines of all tables, by column.
#[derive(Default)]
struct Lines {
    lengths: Vec<Option<usize>>,
    variable: Vec<String>,
    level: Vec<Option<String>>,
    group: Vec<Option<String>>,
    n: Vec<i64>,
    missing: Vec<i64>,
    count: Vec<Option<i64>>,
    numbers: [Vec<f64>; 9],
}

impl Lines {
    fn describe(&mut self, groups: &ByGroup, options: &TableOptions) -> Result<()> {
        for (at, (name, labels)) in options.variables.iter().enumerate() {
            let of_groups: Vec<(&str, &Variable)> = groups
                .iter()
                .filter_map(|(group, variables)| Some((group.0.as_str(), variables.0.get(at)?)))
                .collect();
            let mut line = |group: &str,
                            variable: &Variable,
                            level: Option<(&str, u64)>,
                            numbers: [f64; 9]| {
                self.variable.push(name.clone());
                self.level.push(level.map(|(level, _)| level.to_owned()));
                self.group.push(options.grouped.then(|| group.to_owned()));
                self.n.push(count(variable.known()));
                self.missing.push(count(variable.missing));
                self.count.push(level.map(|(_, seen)| count(seen)));
                for (column, number) in self.numbers.iter_mut().zip(numbers) {
                    column.push(number);
                }
            };
            let mut numbers = [f64::NAN; 9];
            if *labels {
                let variables: Vec<&Variable> =
                    of_groups.iter().map(|(_, variable)| *variable).collect();
                numbers[8] = smd_of_labels(&variables);
                let levels: std::collections::BTreeSet<&String> = variables
                    .iter()
                    .flat_map(|variable| variable.levels.keys())
                    .collect();
                if levels.is_empty() {
                    for (group, variable) in &of_groups {
                        line(group, variable, None, numbers);
                    }
                }
                for level in levels {
                    for (group, variable) in &of_groups {
                        let seen = variable.levels.get(level).copied().unwrap_or(0);
                        numbers[0] = share(seen, variable.known());
                        line(group, variable, Some((level, seen)), numbers);
                    }
                }
            } else {
                let spreads = of_groups.iter().map(|(_, variable)| variable.spread());
                let spreads: Vec<Spread> = spreads
                    .collect::<columna_stats::Result<_>>()
                    .map_err(|error| refused(&error))?;
                numbers[8] = smd_of_numbers(&spreads);
                for ((group, variable), spread) in of_groups.iter().zip(&spreads) {
                    numbers[1] = spread.mean;
                    numbers[2] = spread.sd;
                    numbers[3..8].copy_from_slice(&spread.quartiles);
                    line(group, variable, None, numbers);
                }
            }
        }
        Ok(())
    }

    fn finish(self, output: &DataType) -> Result<ArrayRef> {
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from(self.variable)),
            Arc::new(StringArray::from(self.level)),
            Arc::new(StringArray::from(self.group)),
            Arc::new(Int64Array::from(self.n)),
            Arc::new(Int64Array::from(self.missing)),
            Arc::new(Int64Array::from(self.count)),
        ];
        columns.extend(self.numbers.into_iter().map(numbers));
        lists(output, &self.lengths, &columns)
    }
}

fn count(rows: u64) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

#[expect(clippy::cast_precision_loss, reason = "counts of rows stay below 2^53")]
fn share(seen: u64, known: u64) -> f64 {
    seen as f64 / known as f64
}
