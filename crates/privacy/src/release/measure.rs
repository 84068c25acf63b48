//! What sums and means may be taken of, and which of them are the same number at another scale.
//!
//! A mean is shown as exactly as it is known, so asking for it at many scales would show it more exactly: c·x is
//! therefore a scale of x and no measure of its own. Nor may a condition hide in a measure: what distinguishes single
//! persons would show in the sum.
//!
//! Arithmetic can say what a condition says: `1 / (x - 7.0001)` is large for whoever has 7, and so is `x + 1e9 * n` where
//! n counts one person's rows. Whether such a number is withheld, because one person makes nearly all of it, would tell
//! that there is such a person. So what is divided by or multiplied holds no constant that was added, what is cut
//! (`least`, `coalesce`, counts of some rows) stands alone, and sums are of different columns.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use arrow::datatypes::{DataType, Field};
use datafusion::common::{Column, DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{BinaryExpr, Cast, Expr, ExprSchemable, Operator, TryCast, lit};

use super::expression::{is_literal, uncast};

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

/// No person has more rows.
const ROWS_OF_ONE: f64 = 1e6;

/// How often a column may be in a product or quotient, and all columns together.
const POWERS: (u32, u32) = (2, 3);

/// A measure: `scale` · atom + `offset`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Measure {
    pub(super) scale: f64,
    pub(super) offset: f64,
    /// What is measured, by the stored columns that it is computed from.
    pub(super) atom: String,
    /// Those columns.
    pub(super) columns: BTreeSet<String>,
    /// What it is put together from, and how often.
    parts: BTreeMap<String, u32>,
    form: Form,
    /// All that was added to the measure itself on the way, whether or not it was taken off again: its last digits are lost
    /// to it.
    shifted: f64,
    /// How many rows a person has, or made of such numbers alone.
    counts: bool,
    /// A time from one day to another, of which some may be the first that is known of several.
    time: bool,
}

/// What more can be made of a measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Form {
    /// Stored, or a product or quotient of such.
    Product,
    /// A sum of these.
    Sum,
    /// Something was added or compared in it, so that it may be made for a single person: no part of anything.
    Alone,
}

impl Measure {
    /// A stored column.
    pub(super) fn column(name: &str) -> Self {
        Self::new(
            name.to_owned(),
            BTreeSet::from([name.to_owned()]),
            BTreeMap::from([(name.to_owned(), 1)]),
            Form::Product,
        )
    }

    /// The same, of a column that says the same as another.
    pub(super) fn beside(mut self, twin: Option<String>) -> Self {
        self.columns.extend(twin);
        self
    }

    /// A measure that nothing more is made of.
    pub(super) fn atom(atom: String, columns: BTreeSet<String>) -> Self {
        Self::new(atom, columns, BTreeMap::new(), Form::Alone)
    }

    /// What an aggregate of one person's rows is, of an argument that is `of` if it is a measure. `all` says that no
    /// condition chooses among the rows.
    pub(super) fn of_one(
        text: String,
        of: Option<&Measure>,
        columns: BTreeSet<String>,
        all: bool,
    ) -> Self {
        let plain = of.is_none_or(|of| of.form == Form::Product && of.offset == 0.0);
        let made = if all && plain {
            let parts = BTreeMap::from([(text.clone(), 1)]);
            Self::new(text, columns, parts, Form::Product)
        } else {
            Self::atom(text, columns)
        };
        Self {
            shifted: of.map_or(0.0, |of| of.shifted * ROWS_OF_ONE),
            ..made
        }
    }

    fn new(
        atom: String,
        columns: BTreeSet<String>,
        parts: BTreeMap<String, u32>,
        form: Form,
    ) -> Self {
        Self {
            scale: 1.0,
            offset: 0.0,
            atom,
            columns,
            parts,
            form,
            shifted: 0.0,
            counts: false,
            time: false,
        }
    }

    /// The same, where it is a number of a person's rows.
    pub(super) fn counting(self, counts: bool) -> Self {
        Self { counts, ..self }
    }

    /// A number of a person's rows, or the largest or the sum of some.
    pub(super) fn is_count(&self) -> bool {
        self.counts
    }

    /// A number of rows that a condition chose: how many persons have any is what a condition says.
    pub(super) fn is_chosen_count(&self) -> bool {
        self.counts && self.form == Form::Alone
    }

    /// What may have been added to the atom and taken off again.
    pub(super) fn shifted(&self) -> f64 {
        (self.shifted + self.offset.abs()) / self.scale.abs()
    }

    /// A measure made of others, `whole` if none of them was shifted: else nobody knows what is left of its digits.
    fn made_of(self, whole: bool) -> Self {
        Self {
            shifted: if whole { 0.0 } else { f64::INFINITY },
            ..self
        }
    }

    fn is_whole(&self) -> bool {
        self.shifted == 0.0
    }

    /// A measure that nothing more is made of, with the values of this one.
    pub(super) fn alone(&self, atom: String, columns: BTreeSet<String>) -> Self {
        Self {
            shifted: self.shifted + self.offset.abs(),
            ..Self::atom(atom, columns)
        }
    }

    /// Nothing was added to it or cut from it, at any depth.
    fn is_unshifted(&self, most: Form) -> bool {
        self.offset == 0.0 && self.form <= most
    }

    /// The sum or difference of two measures of different columns, with what was added to them kept outside.
    fn added(self, other: Self, sign: f64) -> Option<Self> {
        let apart = self
            .parts
            .keys()
            .all(|part| !other.parts.contains_key(part));
        if self.form == Form::Alone || other.form == Form::Alone || !apart {
            return None;
        }
        let offset = self.offset + sign * other.offset;
        let atom = format!(
            "({} * {} + {} * {})",
            self.scale,
            self.atom,
            sign * other.scale,
            other.atom
        );
        let shifted = self.shifted + other.shifted;
        let columns = self.columns.into_iter().chain(other.columns).collect();
        let parts = self.parts.into_iter().chain(other.parts).collect();
        let sum = Self {
            shifted,
            ..Self::new(atom, columns, parts, Form::Sum)
        };
        sum.scaled(1.0, offset)
    }

    /// The product of two measures, or their quotient.
    fn multiplied(self, other: Self, op: Operator) -> Option<Self> {
        let most = match op {
            Operator::Divide => Form::Product,
            _ => Form::Sum,
        };
        if !self.is_unshifted(Form::Sum) || !other.is_unshifted(most) {
            return None;
        }
        let atom = format!("({} {op} {})", self.text(), other.text());
        let form = self.form.max(other.form);
        let whole = self.is_whole() && other.is_whole();
        let mut parts = self.parts;
        for (part, times) in other.parts {
            *parts.entry(part).or_default() += times;
        }
        let columns = self.columns.into_iter().chain(other.columns).collect();
        let few = parts.values().all(|times| *times <= POWERS.0)
            && parts.values().sum::<u32>() <= POWERS.1;
        few.then(|| Self::new(atom, columns, parts, form).made_of(whole))
    }

    pub(super) fn is_plain(&self) -> bool {
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
        let shifted = self.shifted * scale.abs() + offset.abs();
        let (scale, offset) = (self.scale * scale, self.offset * scale + offset);
        // Beyond these, numbers vanish, lose their digits or no longer fit into their type.
        let usable = (1e-12..1e12).contains(&scale.abs()) && offset.abs() < 1e12;
        usable.then_some(Self {
            scale,
            offset,
            shifted,
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

/// Whether a stored column can be measured: what names a concept or a record has no mean, and its deviation would count who has
/// which.
pub(super) fn is_measured(field: &Field) -> bool {
    is_measured_type(field.data_type()) && !field.name().ends_with("_id")
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
            let same = (from.is_numeric() && *to == DataType::Float64)
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
            function(call, known, schema)?
        }
        _ => None,
    })
}

/// A function of columns; one that cuts them stands alone, and takes stored ones only.
fn function(call: &ScalarFunction, known: &Measures, schema: &DFSchema) -> Result<Option<Measure>> {
    let cuts = matches!(call.func.name(), "coalesce" | "greatest" | "least");
    if cuts && let Some(of) = cut_count(call, known, schema)? {
        return Ok(of);
    }
    let mut columns = BTreeSet::new();
    let mut texts = Vec::new();
    let mut form = Form::Product;
    let mut whole = true;
    for arg in &call.args {
        if is_literal(arg) {
            // A part of a date is named by one. Any other is a point to measure from.
            if !matches!(call.func.name(), "date_part" | "datepart") {
                form = Form::Sum;
            }
            texts.push(arg.to_string());
            continue;
        }
        let Some(inner) = measure(arg, known, schema)? else {
            return Ok(None);
        };
        let most = match inner.time && inner.is_plain() && is_cap(call) {
            true => Form::Alone,
            false => Form::Product,
        };
        if cuts && !inner.is_unshifted(most) {
            return Ok(None);
        }
        form = form.max(inner.form);
        whole &= inner.is_whole();
        texts.push(inner.text());
        columns.extend(inner.columns);
    }
    if columns.is_empty() {
        return Ok(None);
    }
    // No time is below zero: one of two days is cut at the other.
    if call.func.name() == "person_time" {
        form = Form::Alone;
    }
    let atom = format!("{}({})", call.func.name(), texts.join(", "));
    let of = if cuts || form == Form::Alone {
        Measure::atom(atom, columns)
    } else {
        // A date's years to two days differ for those who have a birthday between them: one part, whatever the function.
        let parts = columns.iter().map(|column| (column.clone(), 1)).collect();
        Measure::new(atom, columns, parts, form)
    };
    let time = is_time(call);
    Ok(Some(Measure {
        time,
        ..of.made_of(whole)
    }))
}

/// A time between days that columns have, or the first of several columns that has one.
fn is_time(call: &ScalarFunction) -> bool {
    let column = |expr: &Expr| matches!(uncast(expr), Expr::Column(_));
    let day = |expr: &Expr| match uncast(expr) {
        Expr::ScalarFunction(first) if first.func.name() == "coalesce" => {
            first.args.iter().all(column)
        }
        other => column(other),
    };
    call.func.name() == "days_between" && call.args.iter().all(day)
}

/// Up to so many days, or from the first one on: no condition but that one can hide in it.
fn is_cap(call: &ScalarFunction) -> bool {
    let caps = call.args.iter().filter_map(literal);
    let caps: Vec<f64> = caps.collect();
    let cuts = match call.func.name() {
        "least" => matches!(caps.as_slice(), [days] if *days >= 1.0),
        "greatest" => caps == [0.0],
        _ => false,
    };
    cuts && call.args.len() == 2
}

/// A number of rows that is cut, which says who has any: 0 where there are none, or at most so many. Nothing if it is none.
fn cut_count(
    call: &ScalarFunction,
    known: &Measures,
    schema: &DFSchema,
) -> Result<Option<Option<Measure>>> {
    let mut counts = Vec::new();
    let mut literals = Vec::new();
    for arg in &call.args {
        match is_literal(arg) {
            true => literals.push(literal(arg)),
            false => counts.push(measure(arg, known, schema)?),
        }
    }
    if !counts.iter().flatten().any(|of| of.counts) {
        return Ok(None);
    }
    let least = call.func.name() == "least";
    let fits = |number: &Option<f64>| {
        number.is_some_and(|n| {
            if least {
                n >= 0.0 && n.fract() == 0.0
            } else {
                n == 0.0
            }
        })
    };
    let [Some(of)] = counts.as_slice() else {
        return Ok(Some(None));
    };
    let cut = (of.is_plain() && literals.iter().all(fits)).then(|| {
        let words = call.args.iter().map(|arg| match literal(arg) {
            Some(number) => number.to_string(),
            None => of.text(),
        });
        let words: Vec<String> = words.collect();
        let atom = format!("{}({})", call.func.name(), words.join(", "));
        Measure::atom(atom, of.columns.clone()).counting(true)
    });
    Ok(Some(cut))
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
            (Some(m), None, _, Some(_), Divide) if m.is_chosen_count() => None,
            (Some(m), None, _, Some(c), Divide) => {
                let (atom, whole) = (format!("({} div {c})", m.text()), m.is_whole());
                Some(Measure::atom(atom, m.columns).made_of(whole))
            }
            (None, Some(m), Some(c), _, Divide) if m.is_unshifted(Form::Product) => {
                let (atom, whole) = (format!("({c} / {})", m.text()), m.is_whole());
                Some(Measure::new(atom, m.columns, m.parts, m.form).made_of(whole))
            }
            (Some(a), Some(b), _, _, Plus) => a.added(b, 1.0),
            (Some(a), Some(b), _, _, Minus) => a.added(b, -1.0),
            (Some(a), Some(b), _, _, Multiply | Divide) => a.multiplied(b, *op),
            _ => None,
        },
    )
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use arrow::datatypes::Schema;
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
        // Columns added up are one measure with what was added outside, at any scale.
        let sum = of(col("x") + lit(1.0) - (col("n") - lit(2.0)) * lit(3.0)).unwrap();
        assert_eq!((sum.offset, sum.columns.len()), (7.0, 2));
        assert!(of(lit(1.0)).is_none());
        assert!(of(col("x").gt(lit(1.0))).is_none());
        assert!(of(col("x") * lit(1e300) * lit(1e300)).is_none());
    }

    /// A person's time between two days is cut at zero: two of them multiplied are a day.
    #[test]
    fn times_of_persons_stand_alone() {
        use datafusion::logical_expr::{ColumnarValue, Volatility, create_udf};

        let kind = DataType::Date32;
        let names = ["born", "ends", "x"];
        let kinds = [kind.clone(), kind.clone(), DataType::Float64];
        let fields = names.into_iter().zip(kinds.clone());
        let fields: Vec<Field> = fields.map(|(n, kind)| Field::new(n, kind, true)).collect();
        let schema = DFSchema::try_from(Schema::new(fields)).unwrap();
        let known: Measures = names
            .map(|name| (Column::new_unqualified(name), Measure::column(name)))
            .into();
        let zero = || ColumnarValue::Scalar(ScalarValue::Float64(Some(0.0)));
        let time = create_udf(
            "person_time",
            vec![kind.clone(), kind],
            DataType::Float64,
            Volatility::Immutable,
            std::sync::Arc::new(move |_| Ok(zero())),
        );
        let of = |expr: Expr| measure(&expr, &known, &schema).unwrap();
        let day = || lit(ScalarValue::Date32(Some(-5_415)));
        let since = || time.call(vec![day(), col("born")]);
        let until = || time.call(vec![col("born"), day()]);
        for single in [
            col("x") + since() * lit(1e9),
            since() * until(),
            col("x") * since(),
            time.call(vec![col("born"), col("ends")]) + col("x"),
        ] {
            assert!(of(single.clone()).is_none(), "{single}");
        }
        for honest in [
            since(),
            time.call(vec![col("born"), col("ends")]) / lit(365.25),
        ] {
            assert!(of(honest.clone()).is_some(), "{honest}");
        }
    }

    #[test]
    fn no_measure_is_made_for_a_single_person() {
        use datafusion::functions::core::expr_fn::{coalesce, greatest, least};

        let schema = Schema::new(
            ["x", "y", "z"]
                .map(|n| Field::new(n, DataType::Float64, true))
                .to_vec(),
        );
        let schema = DFSchema::try_from(schema).unwrap();
        let mut known: Measures = ["x", "y"]
            .map(|name| (Column::new_unqualified(name), Measure::column(name)))
            .into();
        // A count of some of a person's rows.
        let columns = BTreeSet::from(["count".into()]);
        let z = Measure::of_one("count".into(), None, columns, false).counting(true);
        known.insert(Column::new_unqualified("z"), z);
        let of = |expr: Expr| measure(&expr, &known, &schema).unwrap();
        let (x, y, z, c) = (|| col("x"), || col("y"), || col("z"), lit(7.0001));
        for single in [
            lit(1.0) / (x() - c.clone()),
            y() / (x() - c.clone()),
            lit(1.0) / (x() + y()),
            (x() - c.clone()) * (y() - c.clone()),
            x() * (lit(1.0) + y() * lit(1e9)),
            x() + x(),
            x() * x() * x(),
            x() + z() * lit(1e9),
            y() * z(),
            x() + least(vec![y(), c.clone()]),
            least(vec![x() - c.clone(), c.clone() - x()]),
            greatest(vec![least(vec![x(), c.clone()]), lit(0.0)]),
            x() / coalesce(vec![y(), lit(1e-9)]),
            (x() + c.clone() - y()) * y(),
        ] {
            assert!(of(single.clone()).is_none(), "{single}");
        }
        // A body mass index, a rate, a difference in other units, a cut value, the count itself.
        for honest in [
            x() / (y() * y()),
            x() / ((y() / lit(100.0)) * (y() / lit(100.0))),
            lit(60.0) / x(),
            (x() - y()) / lit(365.25) + lit(1.0),
            x() * x(),
            least(vec![x(), c.clone()]) * lit(2.0),
            coalesce(vec![x(), lit(0.0)]),
            z() * lit(2.0) + lit(1.0),
            lit(3.0) - x() * y(),
        ] {
            assert!(of(honest.clone()).is_some(), "{honest}");
        }
    }
}
