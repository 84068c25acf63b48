//! What may fail on a value, made to give NULL there: that a query fails must not tell that some row has the value.
//!
//! The argument of a function can be wrong in itself, a unit that there is not or a length below zero. It fails on
//! whichever row it meets, so that `CASE WHEN <condition> THEN <this> END` would fail where anybody meets the condition.
//! Such a call is tried when the query is read, and refused then. What depends on a row's value is computed row by row
//! once a batch failed, and is NULL where it fails.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, new_null_array};
use arrow::compute::concat;
use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use datafusion::common::{DFSchema, Result, ScalarValue, exec_err};
use datafusion::config::ConfigOptions;
use datafusion::execution::context::ExecutionProps;
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, ExprSchemable, Operator, ReturnFieldArgs, ScalarFunctionArgs,
    ScalarUDF, ScalarUDFImpl, Signature, TryCast, Volatility,
};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::prelude::col;

/// The same function, which gives NULL where it would fail.
pub(super) fn function(inner: &Arc<ScalarUDF>) -> Arc<ScalarUDF> {
    wrapped(Inner::Function(Arc::clone(inner)))
}

/// An operator over two expressions, which gives NULL where it would fail.
pub(super) fn operation(
    left: Expr,
    op: Operator,
    right: Expr,
    kinds: [DataType; 2],
) -> Result<Expr> {
    let [a, b] = kinds;
    let schema = Schema::new(vec![Field::new("a", a, true), Field::new("b", b, true)]);
    let expr = Expr::BinaryExpr(BinaryExpr::new(Box::new(col("a")), op, Box::new(col("b"))));
    Ok(formula(&expr, schema)?.call(vec![left, right]))
}

/// A change of type, which gives NULL where it would fail: TRY_CAST promises that, and does not keep it for days that
/// are outside of the calendar.
pub(super) fn cast(expr: Expr, from: DataType, to: FieldRef) -> Result<Expr> {
    let schema = Schema::new(vec![Field::new("a", from, true)]);
    let inner = Expr::TryCast(TryCast {
        expr: Box::new(col("a")),
        field: to,
    });
    Ok(formula(&inner, schema)?.call(vec![expr]))
}

/// An expression over arguments of these names and types, which gives NULL where it would fail.
pub(super) fn formula(expr: &Expr, arguments: Schema) -> Result<Arc<ScalarUDF>> {
    Ok(wrapped(Inner::Expr(Formula::new(expr, arguments)?)))
}

/// Why a function fails with these literals on any row; nothing if it does not. `kinds` are the arguments' types.
pub(super) fn failing(func: &ScalarUDF, args: &[Expr], kinds: &[DataType]) -> Option<String> {
    let sample = |(arg, kind): (&Expr, &DataType)| -> Option<ScalarValue> {
        match constant(arg) {
            Some(value) => Some(value),
            None => sample(kind),
        }
    };
    let values: Option<Vec<ScalarValue>> = args.iter().zip(kinds).map(sample).collect();
    // A list or the like: nothing that the functions here would fail on.
    let values = values?;
    let fields: Vec<FieldRef> = values
        .iter()
        .map(|value| Arc::new(Field::new("x", value.data_type(), true)))
        .collect();
    let constants: Vec<Option<&ScalarValue>> = values.iter().map(Some).collect();
    let tried = func
        .return_field_from_args(ReturnFieldArgs {
            arg_fields: &fields,
            scalar_arguments: &constants,
        })
        .and_then(|return_field| {
            func.invoke_with_args(ScalarFunctionArgs {
                args: values.iter().cloned().map(ColumnarValue::Scalar).collect(),
                arg_fields: fields.clone(),
                number_rows: 1,
                return_field,
                config_options: Arc::new(ConfigOptions::default()),
            })
        });
    let error = tried.err()?;
    Some(error.strip_backtrace())
}

fn constant(expr: &Expr) -> Option<ScalarValue> {
    match expr {
        Expr::Literal(value, _) => Some(value.clone()),
        Expr::Alias(alias) => constant(&alias.expr),
        Expr::Cast(cast) => constant(&cast.expr)?.cast_to(cast.field.data_type()).ok(),
        Expr::TryCast(cast) => constant(&cast.expr)?.cast_to(cast.field.data_type()).ok(),
        _ => None,
    }
}

/// A plain value of a type.
fn sample(kind: &DataType) -> Option<ScalarValue> {
    let day = ScalarValue::Date32(Some(10_957));
    match kind {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            ScalarValue::from("a").cast_to(kind).ok()
        }
        DataType::Date32 | DataType::Date64 | DataType::Timestamp(..) => day.cast_to(kind).ok(),
        DataType::Boolean => Some(ScalarValue::from(true)),
        kind if kind.is_numeric() => ScalarValue::new_one(kind).ok(),
        _ => None,
    }
}

fn wrapped(inner: Inner) -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::new_from_impl(Total {
        inner,
        // The arguments' types were settled for the function itself.
        signature: Signature::variadic_any(Volatility::Immutable),
    }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Total {
    pub(super) inner: Inner,
    signature: Signature,
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) enum Inner {
    Function(Arc<ScalarUDF>),
    Expr(Formula),
}

/// An expression over the arguments.
pub(super) struct Formula {
    name: String,
    pub(super) expr: Expr,
    pub(super) schema: Arc<Schema>,
    kind: DataType,
    physical: Arc<dyn PhysicalExpr>,
}

impl Formula {
    fn new(expr: &Expr, schema: Schema) -> Result<Self> {
        let schema = Arc::new(schema);
        let names = DFSchema::try_from(Arc::clone(&schema))?;
        Ok(Self {
            name: expr.to_string(),
            expr: expr.clone(),
            kind: expr.get_type(&names)?,
            physical: datafusion::physical_expr::create_physical_expr(
                expr,
                &names,
                &ExecutionProps::new(),
                &Default::default(),
            )?,
            schema,
        })
    }

    fn evaluate(&self, args: &[ColumnarValue], rows: usize) -> Result<ColumnarValue> {
        let columns = args
            .iter()
            .map(|arg| arg.to_array(rows))
            .collect::<Result<Vec<ArrayRef>>>()?;
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns)?;
        self.physical.evaluate(&batch)
    }
}

impl fmt::Debug for Formula {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl PartialEq for Formula {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.schema == other.schema && self.kind == other.kind
    }
}

impl Eq for Formula {}

impl Hash for Formula {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
        self.kind.hash(state);
    }
}

impl Total {
    fn try_invoke(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match &self.inner {
            Inner::Function(function) => function.invoke_with_args(args),
            Inner::Expr(formula) => formula.evaluate(&args.args, args.number_rows),
        }
    }

    /// One row's value; NULL where it fails.
    fn row(&self, args: &ScalarFunctionArgs, at: usize) -> ArrayRef {
        let of_row = ScalarFunctionArgs {
            args: args
                .args
                .iter()
                .map(|arg| match arg {
                    ColumnarValue::Array(values) => ColumnarValue::Array(values.slice(at, 1)),
                    ColumnarValue::Scalar(value) => ColumnarValue::Scalar(value.clone()),
                })
                .collect(),
            number_rows: 1,
            ..args.clone()
        };
        self.try_invoke(of_row)
            .and_then(|value| value.into_array(1))
            .ok()
            .filter(|value| value.data_type() == args.return_type())
            .unwrap_or_else(|| new_null_array(args.return_type(), 1))
    }
}

impl ScalarUDFImpl for Total {
    fn name(&self) -> &str {
        match &self.inner {
            Inner::Function(function) => function.name(),
            Inner::Expr(formula) => &formula.name,
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, kinds: &[DataType]) -> Result<DataType> {
        match &self.inner {
            Inner::Function(function) => function.return_type(kinds),
            Inner::Expr(formula) => Ok(formula.kind.clone()),
        }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let kind = match &self.inner {
            Inner::Function(function) => function.return_field_from_args(args)?.data_type().clone(),
            Inner::Expr(formula) => formula.kind.clone(),
        };
        Ok(Arc::new(Field::new(self.name(), kind, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if let Ok(value) = self.try_invoke(args.clone()) {
            return Ok(value);
        }
        let literals = args
            .args
            .iter()
            .all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        if literals {
            let value = self.row(&args, 0);
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(
                &value, 0,
            )?));
        }
        let rows: Vec<ArrayRef> = (0..args.number_rows)
            .map(|at| self.row(&args, at))
            .collect();
        let rows: Vec<&dyn Array> = rows.iter().map(AsRef::as_ref).collect();
        if rows.is_empty() {
            return exec_err!("a function of no rows failed");
        }
        Ok(ColumnarValue::Array(concat(&rows)?))
    }
}
