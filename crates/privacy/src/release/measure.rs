//! What sums and means may be taken of, and which of them are the same number at another scale.
//!
//! A mean is shown as exactly as it is known, so asking for it at many scales would show it more exactly: c·x is
//! therefore a scale of x and no measure of its own. Nor may a condition hide in a measure: what distinguishes single
//! persons would show in the sum.

use std::collections::{BTreeSet, HashMap};

use arrow::datatypes::DataType;
use datafusion::common::{Column, DFSchema, Result, ScalarValue};
use datafusion::logical_expr::{BinaryExpr, Cast, Expr, ExprSchemable, Operator, TryCast, lit};

use super::expression::is_literal;

/// Functions of dates and numbers that a sum or a mean may be taken of.
const MEASURED: &[&str] = &[
    "age_at",
    "coalesce",
    "days_between",
    "greatest",
    "least",
    "person_time",
    "date_part",
    "datepart",
];

/// A measure: `scale` · atom + `offset`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Measure {
    pub(super) scale: f64,
    pub(super) offset: f64,
    /// What is measured, by the stored columns that it is computed from.
    pub(super) atom: String,
    /// Those columns.
    pub(super) columns: BTreeSet<String>,
}

impl Measure {
    /// A stored column.
    pub(super) fn column(name: &str) -> Self {
        Self::atom(name.to_owned(), BTreeSet::from([name.to_owned()]))
    }

    pub(super) fn atom(atom: String, columns: BTreeSet<String>) -> Self {
        Self {
            scale: 1.0,
            offset: 0.0,
            atom,
            columns,
        }
    }

    fn is_plain(&self) -> bool {
        self.scale == 1.0 && self.offset == 0.0
    }

    fn text(&self) -> String {
        if self.is_plain() {
            return self.atom.clone();
        }
        format!("({} * {} + {})", self.scale, self.atom, self.offset)
    }

    /// An expression of this measure as one of its atom.
    pub(super) fn unscaled(&self, expr: Expr) -> Expr {
        let number = Expr::TryCast(TryCast::new(Box::new(expr), DataType::Float64));
        if self.is_plain() {
            return number;
        }
        (number - lit(self.offset)) / lit(self.scale)
    }

    fn scaled(self, scale: f64, offset: f64) -> Option<Self> {
        let (scale, offset) = (self.scale * scale, self.offset * scale + offset);
        // Beyond these, numbers vanish or lose their digits.
        let usable = (1e-30..1e30).contains(&scale.abs()) && offset.abs() < 1e30;
        usable.then_some(Self {
            scale,
            offset,
            ..self
        })
    }
}

/// The measures that columns are.
pub(super) type Measures = HashMap<Column, Measure>;

/// Whether a column of this type can be measured.
pub(super) fn is_measured_type(kind: &DataType) -> bool {
    kind.is_numeric() || matches!(kind, DataType::Date32 | DataType::Timestamp(..))
}

fn is_day(kind: &DataType) -> bool {
    matches!(
        kind,
        DataType::Date32 | DataType::Date64 | DataType::Timestamp(..)
    )
}

fn literal(expr: &Expr) -> Option<f64> {
    match expr {
        Expr::Literal(value, _) if value.data_type().is_numeric() => {
            match value.cast_to(&DataType::Float64).ok()? {
                ScalarValue::Float64(number) => number.filter(|number| number.is_finite()),
                _ => None,
            }
        }
        Expr::Cast(Cast { expr, .. }) | Expr::TryCast(TryCast { expr, .. }) => literal(expr),
        Expr::Negative(inner) => literal(inner).map(|number| -number),
        _ => None,
    }
}

/// The measure that an expression is; nothing if it is none.
pub(super) fn measure(expr: &Expr, known: &Measures, schema: &DFSchema) -> Result<Option<Measure>> {
    Ok(match expr {
        Expr::Column(column) => known.get(column).cloned(),
        Expr::Alias(alias) => measure(&alias.expr, known, schema)?,
        Expr::Cast(Cast { expr, field }) | Expr::TryCast(TryCast { expr, field }) => {
            let (from, to) = (expr.get_type(schema)?, field.data_type());
            // A number of another type is the same number, unless digits are cut.
            let same = (from.is_numeric() && to.is_floating())
                || (from.is_integer() && (to.is_integer() || to.is_decimal()))
                || (is_day(&from) && is_day(to));
            if same {
                measure(expr, known, schema)?
            } else {
                None
            }
        }
        Expr::Negative(inner) => measure(inner, known, schema)?.and_then(|m| m.scaled(-1.0, 0.0)),
        Expr::BinaryExpr(binary) => arithmetic(binary, known, schema)?,
        Expr::ScalarFunction(call) if MEASURED.contains(&call.func.name()) => {
            let mut columns = BTreeSet::new();
            let mut texts = Vec::new();
            for arg in &call.args {
                if is_literal(arg) {
                    texts.push(arg.to_string());
                    continue;
                }
                let Some(inner) = measure(arg, known, schema)? else {
                    return Ok(None);
                };
                texts.push(inner.text());
                columns.extend(inner.columns);
            }
            let atom = format!("{}({})", call.func.name(), texts.join(", "));
            (!columns.is_empty()).then(|| Measure::atom(atom, columns))
        }
        _ => None,
    })
}

fn arithmetic(binary: &BinaryExpr, known: &Measures, schema: &DFSchema) -> Result<Option<Measure>> {
    use Operator::{Divide, Minus, Multiply, Plus};
    let BinaryExpr { left, op, right } = binary;
    if !matches!(op, Plus | Minus | Multiply | Divide) {
        return Ok(None);
    }
    let whole = left.get_type(schema)?.is_integer() && right.get_type(schema)?.is_integer();
    let (of_left, of_right) = (
        measure(left, known, schema)?,
        measure(right, known, schema)?,
    );
    Ok(
        match (of_left, of_right, literal(left), literal(right), op) {
            (Some(m), None, _, Some(c), Plus) | (None, Some(m), Some(c), _, Plus) => {
                m.scaled(1.0, c)
            }
            (Some(m), None, _, Some(c), Minus) => m.scaled(1.0, -c),
            (None, Some(m), Some(c), _, Minus) => m.scaled(-1.0, c),
            (Some(m), None, _, Some(c), Multiply) | (None, Some(m), Some(c), _, Multiply) => {
                m.scaled(c, 0.0)
            }
            (Some(m), None, _, Some(c), Divide) if !whole && c != 0.0 => m.scaled(1.0 / c, 0.0),
            // Whole numbers are cut by a division, and products have no scale: measures of their own.
            (Some(m), None, _, Some(c), Divide) => {
                Some(Measure::atom(format!("({} div {c})", m.text()), m.columns))
            }
            (None, Some(m), Some(c), _, Divide) => {
                Some(Measure::atom(format!("({c} / {})", m.text()), m.columns))
            }
            (Some(a), Some(b), ..) => {
                let atom = format!("({} {op} {})", a.text(), b.text());
                Some(Measure::atom(
                    atom,
                    a.columns.into_iter().chain(b.columns).collect(),
                ))
            }
            _ => None,
        },
    )
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use arrow::datatypes::{Field, Schema};
    use datafusion::logical_expr::col;

    use super::*;

    #[test]
    fn scales_of_a_measure_are_that_measure() {
        let schema = Schema::new(vec![
            Field::new("x", DataType::Float64, true),
            Field::new("n", DataType::Int64, true),
        ]);
        let schema = DFSchema::try_from(schema).unwrap();
        let known: Measures = ["x", "n"]
            .map(|name| (Column::new_unqualified(name), Measure::column(name)))
            .into();
        let of = |expr: Expr| measure(&expr, &known, &schema).unwrap();
        let twice = of(lit(3.0) - col("x") * lit(2.0)).unwrap();
        assert_eq!(
            (twice.scale, twice.offset, twice.atom.as_str()),
            (-2.0, 3.0, "x")
        );
        assert_eq!(of(col("x") / lit(4.0)).unwrap().scale, 0.25);
        assert_eq!(of(-(col("n") + lit(1_i64))).unwrap().offset, -1.0);
        // Cut by the division: another measure of the same column.
        let cut = of(col("n") / lit(50_i64)).unwrap();
        assert_ne!(cut.atom, "n");
        assert_eq!(cut.columns, BTreeSet::from(["n".to_owned()]));
        assert_eq!(of(col("x") * col("n")).unwrap().columns.len(), 2);
        assert!(of(lit(1.0)).is_none());
        assert!(of(col("x").gt(lit(1.0))).is_none());
        assert!(of(col("x") * lit(1e300) * lit(1e300)).is_none());
    }
}
