//! Regressions: what must stand behind each coefficient, and how exactly it is shown.
//!
//! A covariate is a stored number, arithmetic on such, or a comparison of one stored column with literals: no term can be
//! made for a single person. At least k persons differ from what most have in it, also of those with the event, and of those
//! without where they count as well. Events per coefficient are as many as the profile says. A coefficient is shown to the first digit of its standard error, and what follows from it follows from what is
//! shown. Like a mean, a model of the same columns is shown once for nearly the same persons.

use std::f64::consts::SQRT_2;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, ListArray, StructArray, new_null_array,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{BinaryExpr, Cast, Expr, Operator, TryCast};
use statrs::function::erf::erfc;

use super::curve::{decimals, digits, exponent};
use super::expression::{indicator, is_literal};
use super::recomputed::accumulator;
use super::refused::{refusal, refuse};
use super::shape::Rows;
use super::spec::Model;

/// The covariates of a call, by name.
pub(super) fn covariates(expr: &Expr) -> Result<Vec<(String, Expr)>> {
    let not_a_struct = || {
        refusal(
            "statistic",
            "the covariates are written as `named_struct('name', expression, ...)`",
            "name each covariate",
        )
    };
    let inner = match expr {
        Expr::Cast(Cast { expr, .. }) | Expr::TryCast(TryCast { expr, .. }) => expr.as_ref(),
        other => other,
    };
    let Expr::ScalarFunction(call) = inner else {
        return Err(not_a_struct());
    };
    if call.func.name() != "named_struct" || call.args.len() % 2 != 0 {
        return Err(not_a_struct());
    }
    call.args
        .chunks_exact(2)
        .map(|pair| match &pair[0] {
            Expr::Literal(name, _) => Ok((name.to_string(), pair[1].clone())),
            _ => Err(not_a_struct()),
        })
        .collect()
}

/// The condition of an indicator, where it compares one stored column with literals.
pub(super) fn comparison(expr: &Expr, rows: &Rows) -> Option<Expr> {
    let condition = match indicator(expr) {
        Some(condition) => condition,
        None => expr.clone(),
    };
    let bare = match &condition {
        Expr::IsTrue(inner) => inner.as_ref(),
        other => other,
    };
    let stored = |expr: &Expr| -> bool {
        let mut expr = expr;
        while let Expr::Cast(Cast { expr: inner, .. })
        | Expr::TryCast(TryCast { expr: inner, .. }) = expr
        {
            expr = inner;
        }
        matches!(expr, Expr::Column(column) if rows.origins.contains_key(column))
    };
    let simple = match bare {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            matches!(
                op,
                Operator::Eq
                    | Operator::NotEq
                    | Operator::Lt
                    | Operator::LtEq
                    | Operator::Gt
                    | Operator::GtEq
            ) && ((stored(left) && is_literal(right)) || (is_literal(left) && stored(right)))
        }
        Expr::InList(list) => stored(&list.expr) && list.list.iter().all(is_literal),
        Expr::Between(between) => {
            stored(&between.expr) && is_literal(&between.low) && is_literal(&between.high)
        }
        // Whether a join found something of the person.
        Expr::IsNull(inner) | Expr::IsNotNull(inner) => stored(inner),
        other => stored(other),
    };
    simple.then_some(condition)
}

/// Refuses a covariate that is neither.
pub(super) fn not_a_covariate<T>(name: &str) -> Result<T> {
    refuse(
        "measure",
        format!(
            "the covariate {name} is not known to be safe: a term could be made for a single person"
        ),
        "use stored number columns, arithmetic on them, CASE WHEN column = literal THEN 1 ELSE 0 END for one stored column, or \
         least(coalesce(x.n, 0), 1) for whether a joined count of a person's rows found any",
    )
}

/// A model of persons: the values of its columns, in the order of its arguments, of one person after the other. Nothing where
/// there is none.
pub(super) fn fitted(model: &Model, columns: &[Vec<f64>]) -> Result<Option<ScalarValue>> {
    let mut accumulator = accumulator(&model.function, &model.types, &model.options)?;
    let mut given = columns.iter();
    let mut next = |kind: &DataType| -> Result<ArrayRef> {
        let numbers: ArrayRef = Arc::new(Float64Array::from(
            given.next().cloned().unwrap_or_default(),
        ));
        Ok(cast(&numbers, kind)?)
    };
    let mut arguments = Vec::new();
    for kind in &model.types {
        arguments.push(match kind {
            DataType::Struct(fields) => {
                let parts = fields.iter().map(|field| next(field.data_type()));
                let parts = parts.collect::<Result<Vec<_>>>()?;
                Arc::new(StructArray::try_new(fields.clone(), parts, None)?) as ArrayRef
            }
            kind => next(kind)?,
        });
    }
    let persons = columns.first().map_or(0, Vec::len);
    for value in &model.options {
        arguments.push(value.to_array_of_size(persons)?);
    }
    // What it refuses, it refuses of values of few.
    if accumulator.update_batch(&arguments).is_err() {
        return Ok(None);
    }
    Ok(accumulator.evaluate().ok().filter(|value| !value.is_null()))
}

/// The coefficients of the last terms of a model's table, as they were computed.
pub(super) fn coefficients(value: &ScalarValue, terms: usize) -> Result<Option<Vec<f64>>> {
    let array = value.to_array()?;
    let Some(list) = array.as_list_opt::<i32>().filter(|list| list.is_valid(0)) else {
        return Ok(None);
    };
    let rows = list.value(0);
    let column = rows
        .as_struct_opt()
        .and_then(|rows| rows.column_by_name("coefficient"));
    let Some(column) = column else {
        return Ok(None);
    };
    let numbers = cast(column, &DataType::Float64)?;
    let numbers: Option<Vec<f64>> = numbers.as_primitive::<Float64Type>().iter().collect();
    Ok(numbers.and_then(|numbers| {
        let first = numbers.len().checked_sub(terms)?;
        let own = numbers[first..].to_vec();
        own.iter().all(|b| b.is_finite()).then_some(own)
    }))
}

/// A model's table of terms with fewer digits; nothing where it is none.
pub(super) fn shown(value: &ScalarValue) -> Result<Option<ScalarValue>> {
    let array = value.to_array()?;
    let Some(list) = array.as_list_opt::<i32>().filter(|list| list.is_valid(0)) else {
        return Ok(None);
    };
    let rows = list.value(0);
    let Some(rows) = rows.as_struct_opt() else {
        return Ok(None);
    };
    let number = |name: &str| -> Result<Option<Float64Array>> {
        match rows.column_by_name(name) {
            Some(column) => {
                let numbers = cast(column, &DataType::Float64)?;
                Ok(Some(numbers.as_primitive::<Float64Type>().clone()))
            }
            None => Ok(None),
        }
    };
    let (Some(coefficient), Some(error)) = (number("coefficient")?, number("std_err")?) else {
        return Ok(None);
    };
    // Rounded to the first digit of the standard error, which has two.
    let pairs: Vec<Option<(f64, f64)>> = coefficient
        .iter()
        .zip(error.iter())
        .map(|(b, se)| {
            let (b, se) = (b?, se?);
            (b.is_finite() && se.is_finite() && se > 0.0)
                .then(|| (decimals(b, -exponent(se)), digits(se, 2)))
        })
        .collect();
    // The normal quantile of 95 %.
    const Z: f64 = 1.959_963_984_540_054;
    let ratio = rows
        .fields()
        .iter()
        .any(|field| field.name().ends_with("_ratio"));
    let scale = |x: f64| if ratio { x.exp() } else { x };
    let columns = rows
        .fields()
        .iter()
        .zip(rows.columns())
        .map(|(field, column)| -> Result<ArrayRef> {
            let of = |get: &dyn Fn(f64, f64) -> f64| -> Result<ArrayRef> {
                let numbers: Float64Array = pairs
                    .iter()
                    .map(|pair| pair.map(|(b, se)| get(b, se)))
                    .collect();
                Ok(cast(&numbers, field.data_type())?)
            };
            match field.name().as_str() {
                "coefficient" => of(&|b, _| b),
                "std_err" => of(&|_, se| se),
                "z" => of(&|b, se| digits(b / se, 2)),
                "p_value" => of(&|b, se| digits(erfc((b / se).abs() / SQRT_2), 2)),
                "lower" => of(&|b, se| digits(scale(b - Z * se), 3)),
                "upper" => of(&|b, se| digits(scale(b + Z * se), 3)),
                name if name.ends_with("_ratio") => of(&|b, _| digits(b.exp(), 3)),
                "term" => Ok(Arc::clone(column)),
                _ => Ok(new_null_array(field.data_type(), rows.len())),
            }
        })
        .collect::<Result<Vec<_>>>()?;
    let table = StructArray::try_new(rows.fields().clone(), columns, None)?;
    let DataType::List(item) = list.data_type() else {
        return Ok(None);
    };
    let list = ListArray::try_new(
        Arc::clone(item),
        OffsetBuffer::from_lengths([table.len()]),
        Arc::new(table),
        None,
    )?;
    Ok(Some(ScalarValue::List(Arc::new(list))))
}

/// A table's numbers in a row, for the record of releases.
pub(super) fn flat(value: &ScalarValue) -> Result<Vec<Option<f64>>> {
    let array = value.to_array()?;
    let Some(list) = array.as_list_opt::<i32>() else {
        return Ok(Vec::new());
    };
    let rows = list.value(0);
    let Some(rows) = rows.as_struct_opt() else {
        return Ok(Vec::new());
    };
    let mut all = Vec::new();
    for column in rows
        .columns()
        .iter()
        .filter(|column| column.data_type().is_numeric())
    {
        let numbers = cast(column, &DataType::Float64)?;
        all.extend(numbers.as_primitive::<Float64Type>().iter());
    }
    Ok(all)
}

/// The same table with other numbers.
pub(super) fn with_numbers(
    value: &ScalarValue,
    numbers: &[Option<f64>],
) -> Result<Option<ScalarValue>> {
    let array = value.to_array()?;
    let Some(list) = array.as_list_opt::<i32>() else {
        return Ok(None);
    };
    let rows = list.value(0);
    let (Some(rows), DataType::List(item)) = (rows.as_struct_opt(), list.data_type()) else {
        return Ok(None);
    };
    let mut rest = numbers;
    let mut columns = Vec::new();
    for column in rows.columns() {
        if !column.data_type().is_numeric() {
            columns.push(Arc::clone(column));
            continue;
        }
        if rest.len() < rows.len() {
            return Ok(None);
        }
        let (own, others) = rest.split_at(rows.len());
        rest = others;
        let own: ArrayRef = Arc::new(Float64Array::from(own.to_vec()));
        columns.push(cast(&own, column.data_type())?);
    }
    let table = StructArray::try_new(rows.fields().clone(), columns, None)?;
    let list = ListArray::try_new(
        Arc::clone(item),
        OffsetBuffer::from_lengths([table.len()]),
        Arc::new(table),
        None,
    )?;
    Ok(Some(ScalarValue::List(Arc::new(list))))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use arrow::array::StringArray;
    use arrow::datatypes::{Field, Fields};

    use super::*;

    fn table(coefficient: f64, error: f64) -> ScalarValue {
        let names = [
            "coefficient",
            "odds_ratio",
            "lower",
            "upper",
            "std_err",
            "z",
            "p_value",
        ];
        let mut fields = vec![Field::new("term", DataType::Utf8, true)];
        fields.extend(names.map(|name| Field::new(name, DataType::Float64, true)));
        let mut columns: Vec<ArrayRef> = vec![Arc::new(StringArray::from(vec!["x"]))];
        for name in names {
            let value = match name {
                "coefficient" => coefficient,
                "std_err" => error,
                _ => 1.234_567_89,
            };
            columns.push(Arc::new(Float64Array::from(vec![value])));
        }
        let rows = StructArray::try_new(Fields::from(fields), columns, None).unwrap();
        let item = Arc::new(Field::new("item", rows.data_type().clone(), true));
        let list = ListArray::try_new(item, OffsetBuffer::from_lengths([1]), Arc::new(rows), None);
        ScalarValue::List(Arc::new(list.unwrap()))
    }

    #[test]
    fn what_is_shown_of_a_coefficient_follows_from_its_rounded_form() {
        let shown = shown(&table(0.687_4, 0.0412)).unwrap().unwrap();
        let numbers: Vec<f64> = flat(&shown)
            .unwrap()
            .into_iter()
            .map(|n| n.unwrap_or(f64::NAN))
            .collect();
        // 0.69 and 0.041; exp(0.69) = 1.99, exp(0.69 ∓ 1.96 · 0.041) = 1.84 and 2.16, 0.69 / 0.041 = 17, and by C's erfc 1.49e-63.
        assert_eq!(numbers, [0.69, 1.99, 1.84, 2.16, 0.041, 17.0, 1.5e-63]);
        // The record's numbers make the same table.
        let again = with_numbers(&shown, &flat(&shown).unwrap())
            .unwrap()
            .unwrap();
        assert_eq!(again, shown);
    }

    #[test]
    fn a_term_without_an_error_has_no_number() {
        let shown = shown(&table(30.0, f64::NAN)).unwrap().unwrap();
        assert!(flat(&shown).unwrap().iter().all(Option::is_none));
    }
}
