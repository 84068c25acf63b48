//! The parameters of a statistic: which are columns, which are options, and what types they take.

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
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
    /// An option that is a number; the same for all rows.
    Number,
    /// An option that is a word; the same for all rows.
    Word,
}

/// One parameter of a function.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parameter {
    pub(crate) name: &'static str,
    pub(crate) role: Role,
    pub(crate) required: bool,
}

impl Parameter {
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
            Role::Word | Role::Group | Role::Strata => DataType::Utf8,
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
                "`{name}` of `{function}` is {other}; give a boolean, or 0 for censored and 1 for the event"
            ),
        },
        Role::Weights | Role::Number if argument.is_numeric() => Ok(DataType::Float64),
        Role::Weights | Role::Number => {
            plan_err!("`{name}` of `{function}` is {argument}; give a number")
        }
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

/// The options of one call.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    function: &'static str,
    values: Vec<(&'static str, ScalarValue)>,
}

impl Options {
    /// Reads the options off the arguments. They must be literals: they hold for the whole statistic.
    pub(crate) fn read(
        function: &'static str,
        parameters: &[Parameter],
        arguments: &[Arc<dyn PhysicalExpr>],
    ) -> Result<Self> {
        let mut values = Vec::new();
        for (parameter, argument) in parameters.iter().zip(arguments) {
            if !matches!(parameter.role, Role::Number | Role::Word) {
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
        Ok(Self { function, values })
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

    pub(crate) fn word(&self, name: &str) -> Option<String> {
        self.get(name)
            .and_then(|value| value.try_as_str().flatten())
            .map(str::to_owned)
    }
}

/// Where the columns of a call are among its arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Columns {
    pub(crate) time: usize,
    pub(crate) event: usize,
    pub(crate) start: Option<usize>,
    pub(crate) weights: Option<usize>,
    pub(crate) group: Option<usize>,
    pub(crate) strata: Option<usize>,
}

impl Columns {
    pub(crate) fn find(parameters: &[Parameter], fields: &[FieldRef]) -> Self {
        let position = |role: Role| {
            parameters
                .iter()
                .zip(fields)
                .position(|(parameter, field)| {
                    parameter.role == role && !field.data_type().is_null()
                })
        };
        Self {
            time: position(Role::Time).unwrap_or(0),
            event: position(Role::Event).unwrap_or(1),
            start: position(Role::Start),
            weights: position(Role::Weights),
            group: position(Role::Group),
            strata: position(Role::Strata),
        }
    }
}
