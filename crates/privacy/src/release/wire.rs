//! Releases on a cluster: the functions below them on the wire, and their inputs computed elsewhere.
//!
//! What is computed below a release has functions that never fail, which have the names of those that do. Sent by name
//! they would be those. So they are sent with what they are made of, and made again at the other end.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion::common::{DataFusionError, Result, ScalarValue, internal_err};
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::{AggregateUDF, Expr, Extension, LogicalPlan, ScalarUDF};
use datafusion_proto::bytes::Serializeable;
use serde::{Deserialize, Serialize};

use super::collect::{self, Collect, Kept};
use super::joined::Joined;
use super::lenient::{self, Lenient};
use super::node::is_release;
use super::total::{self, Inner, Total};

/// Marks the bytes of a function among those of others.
const TAG: &[u8] = b"columna function 1\n";

/// What a function is made of. Types and expressions are in the engine's own form.
#[derive(Serialize, Deserialize)]
enum Wire {
    /// A function that gives NULL where it would fail.
    Total { function: String },
    /// An expression that does, over arguments of these names and types.
    Formula {
        expr: Vec<u8>,
        arguments: Vec<(String, Vec<u8>)>,
    },
    /// Texts put together.
    Joined { kind: Vec<u8>, nulls_win: bool },
    /// A statistic that gives NULL where it would fail.
    Lenient { function: String },
    /// Who is in a group.
    Collect { keep: usize },
    /// Who is in a group, with how many rows.
    Counted,
}

/// Writes what a function of a release is made of; nothing for all others, which are known by name.
///
/// # Errors
/// When it can't be written.
pub fn encode_scalar(function: &ScalarUDF, bytes: &mut Vec<u8>) -> Result<()> {
    let inner = function.inner();
    let wire = if let Some(total) = inner.downcast_ref::<Total>() {
        match &total.inner {
            Inner::Function(function) => Wire::Total {
                function: function.name().to_owned(),
            },
            Inner::Expr(formula) => Wire::Formula {
                expr: formula.expr.to_bytes()?.to_vec(),
                arguments: formula
                    .schema
                    .fields()
                    .iter()
                    .map(|field| Ok((field.name().clone(), kind_bytes(field.data_type())?)))
                    .collect::<Result<_>>()?,
            },
        }
    } else if let Some(joined) = inner.downcast_ref::<Joined>() {
        Wire::Joined {
            kind: kind_bytes(&joined.kind)?,
            nulls_win: joined.nulls_win,
        }
    } else {
        return Ok(());
    };
    write(&wire, bytes)
}

/// Writes what a statistic of a release is made of; nothing for all others, which are known by name.
///
/// # Errors
/// When it can't be written.
pub fn encode_aggregate(function: &AggregateUDF, bytes: &mut Vec<u8>) -> Result<()> {
    let inner = function.inner();
    let wire = if let Some(lenient) = inner.downcast_ref::<Lenient>() {
        Wire::Lenient {
            function: lenient.inner.name().to_owned(),
        }
    } else if let Some(collect) = inner.downcast_ref::<Collect>() {
        match collect.kept {
            Kept::Sums => Wire::Collect { keep: 0 },
            Kept::Counts => Wire::Counted,
            Kept::Samples(keep) => Wire::Collect { keep },
        }
    } else {
        return Ok(());
    };
    write(&wire, bytes)
}

/// The function that [`encode_scalar`] wrote.
///
/// # Errors
/// When it wrote none, or its parts are not known here.
pub fn decode_scalar(known: &dyn FunctionRegistry, bytes: &[u8]) -> Result<Arc<ScalarUDF>> {
    match read(bytes)? {
        Wire::Total { function } => Ok(total::function(&known.udf(&function)?)),
        Wire::Formula { expr, arguments } => {
            let fields = arguments
                .iter()
                .map(|(name, kind)| Ok(Field::new(name, kind_of(kind)?, true)))
                .collect::<Result<Vec<_>>>()?;
            total::formula(&Expr::from_bytes(&expr)?, Schema::new(fields))
        }
        Wire::Joined { kind, nulls_win } => Ok(super::joined::function(kind_of(&kind)?, nulls_win)),
        Wire::Lenient { .. } | Wire::Collect { .. } | Wire::Counted => {
            internal_err!("these bytes are no scalar function's")
        }
    }
}

/// The statistic that [`encode_aggregate`] wrote.
///
/// # Errors
/// When it wrote none, or its parts are not known here.
pub fn decode_aggregate(known: &dyn FunctionRegistry, bytes: &[u8]) -> Result<Arc<AggregateUDF>> {
    match read(bytes)? {
        Wire::Lenient { function } => Ok(lenient::lenient(&known.udaf(&function)?)),
        Wire::Collect { keep: 0 } => Ok(collect::persons()),
        Wire::Collect { keep } => Ok(collect::samples(keep)),
        Wire::Counted => Ok(collect::counted_rows()),
        Wire::Total { .. } | Wire::Formula { .. } | Wire::Joined { .. } => {
            internal_err!("these bytes are no aggregate function's")
        }
    }
}

fn write(wire: &Wire, bytes: &mut Vec<u8>) -> Result<()> {
    bytes.extend_from_slice(TAG);
    serde_json::to_writer(bytes, wire).map_err(|error| failed(&error))
}

fn read(bytes: &[u8]) -> Result<Wire> {
    let Some(body) = bytes.strip_prefix(TAG) else {
        return internal_err!("these bytes are no function's");
    };
    serde_json::from_slice(body).map_err(|error| failed(&error))
}

fn failed(error: &serde_json::Error) -> DataFusionError {
    DataFusionError::Internal(format!("a function on the wire: {error}"))
}

/// A type, as a value of it.
fn kind_bytes(kind: &DataType) -> Result<Vec<u8>> {
    let null = Expr::Literal(ScalarValue::try_from(kind)?, None);
    Ok(null.to_bytes()?.to_vec())
}

fn kind_of(bytes: &[u8]) -> Result<DataType> {
    match Expr::from_bytes(bytes)? {
        Expr::Literal(value, _) => Ok(value.data_type()),
        _ => internal_err!("these bytes are no type's"),
    }
}

/// Whether numbers are released anywhere in a plan.
///
/// # Errors
/// When the plan can't be walked.
pub fn has_releases(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        if matches!(node, LogicalPlan::Extension(extension) if is_release(extension)) {
            found = true;
            return Ok(TreeNodeRecursion::Stop);
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(found)
}

/// The plan in which each release that stands on no other one is over what `elsewhere` makes of its input: the same
/// columns in the same order.
///
/// # Errors
/// Those of `elsewhere`.
pub fn with_inputs(
    plan: LogicalPlan,
    mut elsewhere: impl FnMut(&LogicalPlan) -> Result<LogicalPlan>,
) -> Result<LogicalPlan> {
    let changed = plan.transform_down_with_subqueries(|node| {
        let LogicalPlan::Extension(extension) = &node else {
            return Ok(Transformed::no(node));
        };
        let [input] = extension.node.inputs()[..] else {
            return Ok(Transformed::no(node));
        };
        if !is_release(extension) || has_releases(input)? {
            return Ok(Transformed::no(node));
        }
        let input = elsewhere(input)?;
        let release = extension.node.with_exprs_and_inputs(vec![], vec![input])?;
        Ok(Transformed::new(
            LogicalPlan::Extension(Extension { node: release }),
            true,
            TreeNodeRecursion::Jump,
        ))
    })?;
    Ok(changed.data)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use datafusion::functions::core::expr_fn::nullif;
    use datafusion::logical_expr::{Operator, lit};
    use datafusion::prelude::{SessionContext, col};

    fn function_of(expr: &Expr) -> &Arc<ScalarUDF> {
        match expr {
            Expr::ScalarFunction(function) => &function.func,
            other => unreachable!("{other}"),
        }
    }

    #[test]
    fn functions_of_releases_are_the_same_at_the_other_end() {
        let state = SessionContext::new().state();
        let int = || DataType::Int64;
        let divided = total::operation(col("a"), Operator::Divide, lit(0_i64), [int(), int()]);
        let to: arrow::datatypes::FieldRef = Arc::new(Field::new("a", DataType::Date32, true));
        let cast = total::cast(col("a"), DataType::Utf8View, to);
        let nullif = nullif(col("a"), lit(1_i64));
        let joined = super::super::joined::joined(vec![col("a")], DataType::Utf8, true);
        for function in [
            function_of(&divided.unwrap()),
            function_of(&cast.unwrap()),
            &total::function(function_of(&nullif)),
            function_of(&joined),
        ] {
            let mut bytes = Vec::new();
            encode_scalar(function, &mut bytes).unwrap();
            assert_eq!(&decode_scalar(&state, &bytes).unwrap(), function);
        }
        let mut bytes = Vec::new();
        encode_scalar(function_of(&nullif), &mut bytes).unwrap();
        assert!(bytes.is_empty());

        let sum = state.udaf("sum").unwrap();
        for function in [
            lenient::lenient(&sum),
            collect::persons(),
            collect::counted_rows(),
            collect::samples(3),
        ] {
            let mut bytes = Vec::new();
            encode_aggregate(&function, &mut bytes).unwrap();
            assert_eq!(decode_aggregate(&state, &bytes).unwrap(), function);
        }
        assert!(decode_scalar(&state, b"columna function 1\n{}").is_err());
    }
}
