//! The parameters of a statistic: which are columns, which are options, and what types they take.

use std::sync::Arc;

use arrow::array::{Array, AsArray, StructArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Literal;

/// What an argument is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// The time of the event or of censoring.
    Time,
    /// Whether the event happened.
    Event,
    /// The start of the time at risk.
    Start,
    /// Case weights.
    Weights,
    /// What is compared.
    Group,
    /// Within which it is compared.
    Strata,
    /// Rows of one cluster, such as a person or a hospital, are not independent.
    Cluster,
    /// What names a row in a result that has a line for each: a whole number or a word.
    Id,
    /// A number for each row: a measurement, a count, person-time, an offset, a risk.
    Value,
    /// Yes or no for each row: a boolean, or 0 and 1.
    Flag,
    /// A calendar day.
    Day,
    /// The covariates of a model: a struct, one field for each term.
    Covariates,
    /// The same, where a term may also be a list: of what a person has, such as concepts.
    SparseCovariates,
    /// An option that is a number; the same for all rows.
    Number,
    /// An option that is a number or a list of numbers; the same for all rows.
    Numbers,
    /// An option that is a word; the same for all rows.
    Word,
    /// An option that is true or false; the same for all rows.
    Switch,
    /// An option that is a struct of values, such as the covariates to predict for; the same for all rows.
    Record,
}

impl Role {
    /// Whether the argument is an option, not a column.
    fn is_option(self) -> bool {
        matches!(
            self,
            Self::Number | Self::Numbers | Self::Word | Self::Switch | Self::Record
        )
    }
}

/// One parameter of a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Parameter {
    pub(crate) name: &'static str,
    pub(crate) role: Role,
    pub(crate) required: bool,
}

impl Parameter {
    /// Whether the argument is an option, not a column.
    pub(crate) fn is_option(&self) -> bool {
        self.role.is_option()
    }

    pub(crate) const fn required(name: &'static str, role: Role) -> Self {
        Self {
            name,
            role,
            required: true,
        }
    }

    pub(crate) const fn optional(name: &'static str, role: Role) -> Self {
        Self {
            name,
            role,
            required: false,
        }
    }
}

/// The types that the arguments are cast to; an error says which argument is wrong and what it may be.
pub(crate) fn coerce(
    function: &str,
    parameters: &[Parameter],
    arguments: &[DataType],
) -> Result<Vec<DataType>> {
    let required = parameters
        .iter()
        .filter(|parameter| parameter.required)
        .count();
    if arguments.len() < required {
        let missing: Vec<_> = parameters[arguments.len()..required]
            .iter()
            .map(|p| p.name)
            .collect();
        return plan_err!("`{function}` needs `{}` as well", missing.join("`, `"));
    }
    if arguments.len() > parameters.len() {
        let names: Vec<_> = parameters.iter().map(|p| p.name).collect();
        return plan_err!(
            "`{function}` takes at most {} arguments: {}",
            names.len(),
            names.join(", ")
        );
    }
    arguments
        .iter()
        .zip(parameters)
        .map(|(argument, parameter)| coerce_one(function, parameter, argument))
        .collect()
}

fn coerce_one(function: &str, parameter: &Parameter, argument: &DataType) -> Result<DataType> {
    let name = parameter.name;
    if argument.is_null() {
        return Ok(match parameter.role {
            // An option or a column that is NULL is one that was not given.
            _ if !parameter.required => DataType::Null,
            Role::Word | Role::Group | Role::Strata | Role::Cluster | Role::Id => DataType::Utf8,
            Role::Flag | Role::Switch => DataType::Boolean,
            Role::Day => DataType::Date32,
            Role::Covariates | Role::SparseCovariates | Role::Record => {
                return plan_err!(
                    "`{name}` of `{function}` is NULL; give a struct of columns, for example `named_struct('age', age)`"
                );
            }
            _ => DataType::Float64,
        });
    }
    match parameter.role {
        Role::Time | Role::Start => match argument {
            DataType::Duration(_) => Ok(argument.clone()),
            whole if whole.is_integer() => Ok(DataType::Int64),
            number if number.is_numeric() => Ok(DataType::Float64),
            other => plan_err!(
                "`{name}` of `{function}` is {other}; give days as a number, for example `days_between(…, …)`"
            ),
        },
        Role::Event => match argument {
            DataType::Boolean => Ok(DataType::Boolean),
            whole if whole.is_integer() => Ok(DataType::Int64),
            number if number.is_numeric() => Ok(DataType::Float64),
            other => plan_err!(
                "`{name}` of `{function}` is {other}; give a boolean, or 0 for censored and 1 for the event (of several causes 1, 2, …)"
            ),
        },
        Role::Weights | Role::Number | Role::Value if argument.is_numeric() => {
            Ok(DataType::Float64)
        }
        Role::Value if argument == &DataType::Boolean => Ok(DataType::Float64),
        Role::Weights | Role::Number | Role::Value => {
            plan_err!("`{name}` of `{function}` is {argument}; give a number")
        }
        Role::Numbers => match argument {
            number if number.is_numeric() => Ok(DataType::Float64),
            DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _)
                if item.data_type().is_numeric() =>
            {
                let item = Field::new_list_field(DataType::Float64, true);
                Ok(DataType::List(Arc::new(item)))
            }
            other => {
                plan_err!(
                    "`{name}` of `{function}` is {other}; give a number or a list, for example `[0.25, 0.75]`"
                )
            }
        },
        Role::Flag => match argument {
            DataType::Boolean => Ok(DataType::Boolean),
            number if number.is_numeric() => Ok(DataType::Float64),
            other => plan_err!(
                "`{name}` of `{function}` is {other}; give a boolean, or 0 and 1, for example `{name} = 'yes'`"
            ),
        },
        Role::Day => match argument {
            DataType::Date32 | DataType::Date64 | DataType::Timestamp(_, _) => Ok(DataType::Date32),
            other => plan_err!("`{name}` of `{function}` is {other}; give a DATE"),
        },
        Role::Switch => match argument {
            DataType::Boolean => Ok(DataType::Boolean),
            other => plan_err!("`{name}` of `{function}` is {other}; give true or false"),
        },
        Role::Cluster | Role::Id => match argument {
            whole if whole.is_integer() => Ok(DataType::Int64),
            DataType::Utf8
            | DataType::LargeUtf8
            | DataType::Utf8View
            | DataType::Dictionary(_, _) => Ok(DataType::Utf8),
            other => plan_err!(
                "`{name}` of `{function}` is {other}; give a column of whole numbers or words, such as `person_id`"
            ),
        },
        Role::Covariates => coerce_covariates(function, name, argument, false),
        Role::SparseCovariates => coerce_covariates(function, name, argument, true),
        Role::Record => match argument {
            DataType::Struct(_) => Ok(argument.clone()),
            other => plan_err!(
                "`{name}` of `{function}` is {other}; give a struct, for example `named_struct('age', 60)`"
            ),
        },
        Role::Group | Role::Strata => match argument {
            DataType::List(_)
            | DataType::LargeList(_)
            | DataType::Struct(_)
            | DataType::Map(_, _) => plan_err!(
                "`{name}` of `{function}` is {argument}; give a column of labels, numbers or booleans"
            ),
            _ => Ok(DataType::Utf8),
        },
        Role::Word => match argument {
            DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 => Ok(DataType::Utf8),
            other => plan_err!("`{name}` of `{function}` is {other}; give a word in quotes"),
        },
    }
}

/// Each field must be a term that a model can take; the fields are read as they are.
fn coerce_covariates(
    function: &str,
    name: &str,
    argument: &DataType,
    sparse: bool,
) -> Result<DataType> {
    let DataType::Struct(fields) = argument else {
        return plan_err!(
            "`{name}` of `{function}` is {argument}; give a struct of columns, for example `named_struct('age', age, 'sex', sex)`"
        );
    };
    for field in fields {
        if term_kind(field.data_type()).is_none() && !(sparse && is_set(field.data_type())) {
            let lists = if sparse {
                ", or lists of whole numbers or words"
            } else {
                ""
            };
            return plan_err!(
                "the term `{}` in `{name}` of `{function}` is {}; give numbers, booleans or words{lists}",
                field.name(),
                field.data_type()
            );
        }
    }
    Ok(argument.clone())
}

/// How a column enters a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TermKind {
    /// As it is.
    Number,
    /// As a factor.
    Word,
}

/// How a column of this type enters a model, if it can.
pub(crate) fn term_kind(data_type: &DataType) -> Option<TermKind> {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Some(TermKind::Word),
        DataType::Dictionary(_, values) => term_kind(values),
        DataType::Boolean | DataType::Null => Some(TermKind::Number),
        number if number.is_numeric() => Some(TermKind::Number),
        _ => None,
    }
}

/// Whether a column is lists of what names something, each of which is a term of its own.
pub(crate) fn is_set(data_type: &DataType) -> bool {
    match data_type {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            let item = item.data_type();
            item.is_integer() || item.is_null() || term_kind(item) == Some(TermKind::Word)
        }
        _ => false,
    }
}

/// The options of one call, and which columns it has.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    function: &'static str,
    values: Vec<(&'static str, ScalarValue)>,
    columns: Vec<(Parameter, DataType)>,
}

impl Options {
    /// Reads the options off the arguments. They must be literals: they hold for the whole statistic.
    pub(crate) fn read(
        function: &'static str,
        parameters: &[Parameter],
        arguments: &[Arc<dyn PhysicalExpr>],
        fields: &[FieldRef],
    ) -> Result<Self> {
        let mut values = Vec::new();
        let mut columns = Vec::new();
        for ((parameter, argument), field) in parameters.iter().zip(arguments).zip(fields) {
            if !parameter.role.is_option() {
                if !field.data_type().is_null() {
                    columns.push((*parameter, field.data_type().clone()));
                }
                continue;
            }
            let Some(literal) = argument.downcast_ref::<Literal>() else {
                return plan_err!(
                    "`{}` of `{function}` must be one value for all rows, not an expression over columns",
                    parameter.name
                );
            };
            if literal.value().is_null() {
                if parameter.required {
                    return plan_err!("`{}` of `{function}` is NULL; give a value", parameter.name);
                }
                continue;
            }
            values.push((parameter.name, literal.value().clone()));
        }
        Ok(Self {
            function,
            values,
            columns,
        })
    }

    /// The function that was called.
    pub(crate) fn function(&self) -> &'static str {
        self.function
    }

    /// The columns that were given, and their types.
    pub(crate) fn columns(&self) -> &[(Parameter, DataType)] {
        &self.columns
    }

    /// The type of a column that was given.
    pub(crate) fn column(&self, name: &str) -> Option<&DataType> {
        self.columns
            .iter()
            .find(|(parameter, _)| parameter.name == name)
            .map(|(_, data_type)| data_type)
    }

    fn get(&self, name: &str) -> Option<&ScalarValue> {
        self.values
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value)
    }

    pub(crate) fn number(&self, name: &str) -> Result<Option<f64>> {
        match self.get(name) {
            None => Ok(None),
            Some(value) => match value.cast_to(&DataType::Float64)? {
                ScalarValue::Float64(number) => Ok(number),
                _ => exec_err!("`{name}` of `{}` is not a number", self.function),
            },
        }
    }

    /// A number or a list of numbers.
    pub(crate) fn numbers(&self, name: &str) -> Result<Option<Vec<f64>>> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let array = match value {
            ScalarValue::List(list) => Arc::clone(list.values()),
            number => number.to_array()?,
        };
        let numbers = cast(&array, &DataType::Float64)?;
        let numbers = numbers.as_primitive::<Float64Type>();
        if numbers.null_count() > 0 {
            return plan_err!("`{name}` of `{}` has a NULL in it", self.function);
        }
        Ok(Some(numbers.values().to_vec()))
    }

    /// True or false.
    pub(crate) fn switch(&self, name: &str) -> Option<bool> {
        match self.get(name) {
            Some(ScalarValue::Boolean(value)) => *value,
            _ => None,
        }
    }

    /// A struct of one row.
    pub(crate) fn record(&self, name: &str) -> Option<&StructArray> {
        match self.get(name) {
            Some(ScalarValue::Struct(record)) => Some(record.as_ref()),
            _ => None,
        }
    }

    pub(crate) fn word(&self, name: &str) -> Option<String> {
        self.get(name)
            .and_then(|value| value.try_as_str().flatten())
            .map(str::to_owned)
    }
}

/// Where the columns of a call are among its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Columns {
    given: Vec<(Parameter, usize)>,
}

impl Columns {
    pub(super) fn find(parameters: &[Parameter], fields: &[FieldRef]) -> Self {
        let given = parameters
            .iter()
            .zip(fields)
            .enumerate()
            .filter(|(_, (parameter, field))| {
                !parameter.role.is_option() && !field.data_type().is_null()
            })
            .map(|(index, (parameter, _))| (*parameter, index))
            .collect();
        Self { given }
    }

    pub(super) fn given(&self) -> &[(Parameter, usize)] {
        &self.given
    }

    /// The first argument of a role.
    pub(super) fn role(&self, role: Role) -> Option<usize> {
        self.position(|parameter| parameter.role == role)
    }

    /// The argument of a parameter.
    pub(super) fn named(&self, name: &str) -> Option<usize> {
        self.position(|parameter| parameter.name == name)
    }

    fn position(&self, wanted: impl Fn(&Parameter) -> bool) -> Option<usize> {
        self.given
            .iter()
            .find(|(parameter, _)| wanted(parameter))
            .map(|(_, index)| *index)
    }
}
