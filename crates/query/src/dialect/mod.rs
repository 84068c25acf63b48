//! Words that analysts bring from other engines, in the words of this one.
//!
//! `year(day)`, `date_diff('day', a, b)`, `arg_max(value, day)`: DuckDB has them, and most engines have some. Each
//! stands for something that this engine has under another name, and is written as that before it is planned, so that
//! policies, plans and the cluster know nothing of it. What they answer is what DuckDB 2.0 answers, `dialect.slt`
//! has its numbers; of several rows with the greatest key `arg_max` may take another than DuckDB does.

mod arrays;
mod forms;
mod parts;

use std::ops::ControlFlow;

use datafusion::common::{Result, plan_err};
use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    AccessExpr, BinaryOperator, CaseWhen, DataType, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArgumentClause, FunctionArguments, GroupByExpr, Ident, Interval, NullTreatment,
    ObjectName, Query, SelectItem, SetExpr, Subscript, TableFactor, TableWithJoins, TimezoneInfo,
    TypedString, UnaryOperator, Value, visit_expressions, visit_expressions_mut,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;

use crate::aggregates_of_all::{compared, having_of_all, is_one_value};
use arrays::listed;
use forms::{DIFFERENCES, FIRST, FORMS, GREATEST, LAST, LEAST, NAMES, OF_ROWS, UNSIGNED};
use parts::unit;

/// Writes an expression in this engine's words; its parts are written already.
///
/// # Errors
/// When a form is not one of this engine.
pub(crate) fn translate(expr: &mut Expr) -> Result<()> {
    match expr {
        // A frame of a window takes the number in quotes only.
        Expr::Interval(Interval {
            value,
            leading_field,
            ..
        }) => {
            // The parser takes a number in parentheses for a precision, and leaves it out.
            if let (Expr::Identifier(word), None) = (value.as_ref(), &*leading_field)
                && let Some(part) = unit(value)
                && DIFFERENCES.iter().any(|(known, _)| *known == part)
            {
                return plan_err!("write the number without parentheses: `INTERVAL 3 {word}`");
            }
            if let Expr::Value(number) = value.as_mut() {
                if let Value::Number(text, _) = &number.value {
                    number.value = Value::SingleQuotedString(text.clone());
                }
            } else if let (false, Some(field)) = (is_literal(value), leading_field) {
                let form = format!("$1 * INTERVAL '1 {field}'");
                *expr = filled(&form, std::slice::from_ref(value.as_ref()))?;
            }
        }
        // As stored moments are; the engine's nanoseconds do not reach a day in 9999.
        Expr::TypedString(TypedString { data_type, .. }) | Expr::Cast { data_type, .. } => {
            if let DataType::Timestamp(precision @ None, TimezoneInfo::None) = data_type {
                *precision = Some(6);
            }
        }
        Expr::Extract {
            field, expr: time, ..
        } => {
            let written = field.to_string();
            let part = parts::named(&written);
            if let Some(form) = parts::long(&part) {
                *expr = filled(form, std::slice::from_ref(time.as_ref()))?;
            } else if !part.eq_ignore_ascii_case(written.trim_matches('\'')) {
                let form = format!("date_part('{part}', $1)");
                *expr = filled(&form, std::slice::from_ref(time.as_ref()))?;
            }
        }
        Expr::InSubquery { expr, .. } if matches!(expr.as_ref(), Expr::Tuple(_)) => {
            return plan_err!(
                "`(a, b) IN (SELECT …)` is supported in WHERE only, and not with NOT: write \
                 `EXISTS (SELECT 1 FROM t WHERE t.x = a AND t.y = b)`, or NOT EXISTS"
            );
        }
        // See `aggregates_of_all`.
        Expr::InSubquery {
            expr: value,
            subquery,
            negated,
        } if is_one_value(subquery) => *expr = compared(value, subquery, *negated),
        Expr::InSubquery { subquery, .. } => name_apart(subquery),
        Expr::Exists { subquery, negated } => {
            if let Some(holds) = having_of_all(subquery) {
                let holds = Expr::Subquery(Box::new(holds));
                *expr = match negated {
                    true => filled("NOT $1", &[holds])?,
                    false => holds,
                };
            }
        }
        // From the end of the text, which the engine begins before.
        Expr::Substring {
            expr: text,
            substring_from: Some(from),
            substring_for,
            ..
        } if is_negative(from) => {
            let parts = [text.as_ref().clone(), from.as_ref().clone()];
            let parts = parts.into_iter().chain(substring_for.as_deref().cloned());
            let parts: Vec<Expr> = parts.collect();
            let form = match parts.len() {
                2 => "right($1, -($2))",
                // Places before the text count among those that are asked for.
                _ => "substr($1, character_length($1) + 1 + ($2), $3)",
            };
            *expr = filled(form, &parts)?;
        }
        Expr::CompoundFieldAccess { root, access_chain }
            if let Some(element) = element_of_list(root, access_chain)? =>
        {
            *expr = element;
        }
        // The engine (DataFusion 55) does not see the columns around a subquery in the brackets of a list.
        Expr::Array(list) if !list.elem.iter().all(is_literal) => {
            let places: Vec<String> = (1..=list.elem.len()).map(|at| format!("${at}")).collect();
            *expr = filled(&format!("make_array({})", places.join(", ")), &list.elem)?;
        }
        // The engine's accesses are by name in brackets, but for those of columns.
        Expr::CompoundFieldAccess { root, access_chain } => {
            name_column(root, access_chain);
            for access in access_chain {
                match access {
                    AccessExpr::Dot(Expr::Identifier(field)) => {
                        let index = Expr::value(Value::SingleQuotedString(field.value.clone()));
                        *access = AccessExpr::Subscript(Subscript::Index { index });
                    }
                    AccessExpr::Subscript(Subscript::Slice {
                        lower_bound,
                        upper_bound,
                        ..
                    }) => {
                        let number =
                            |text: &str| Expr::value(Value::Number(text.to_owned(), false));
                        lower_bound.get_or_insert_with(|| number("1"));
                        upper_bound.get_or_insert_with(|| number("-1"));
                    }
                    _ => {}
                }
            }
        }
        Expr::Function(function) => {
            if let Some(other) = call(function)? {
                *expr = other;
            } else if UNSIGNED.iter().any(|name| is_call_of(function, name)) {
                *expr = filled("CAST($1 AS BIGINT)", std::slice::from_ref(expr))?;
            }
        }
        // The parser takes all that follows IS DISTINCT FROM for its right side, AND and OR among it.
        Expr::IsDistinctFrom(_, right) | Expr::IsNotDistinctFrom(_, right)
            if is_and_or_or(right) =>
        {
            regroup(expr);
        }
        Expr::BinaryOp {
            op: BinaryOperator::And,
            right,
            ..
        } if begins_distinct(right)
            && matches!(right.as_ref(), Expr::BinaryOp { op, .. } if *op == BinaryOperator::Or) =>
        {
            regroup(expr);
        }
        Expr::UnaryOp {
            op: UnaryOperator::Not,
            expr: right,
        } if begins_distinct(right) && is_and_or_or(right) => regroup(expr),
        Expr::AnyOp {
            left,
            compare_op,
            right,
            ..
        } => {
            if let Expr::Subquery(subquery) = right.as_mut() {
                match *compare_op == BinaryOperator::Eq {
                    true if is_one_value(subquery) => *expr = compared(left, subquery, false),
                    true => *expr = is_in(left, subquery, false),
                    false => rename(subquery)?,
                }
            } else if let (Some(op), false) = (other_than(compare_op), is_of_values(right)) {
                // The engine's ANY of a list does not heed its NULLs, and its ALL does.
                let all = Expr::AllOp {
                    left: left.clone(),
                    compare_op: op,
                    right: right.clone(),
                };
                *expr = Expr::UnaryOp {
                    op: UnaryOperator::Not,
                    expr: Box::new(Expr::Nested(Box::new(all))),
                };
            }
        }
        Expr::AllOp {
            left,
            compare_op,
            right,
        } => {
            if let Expr::Subquery(subquery) = right.as_mut() {
                match *compare_op == BinaryOperator::NotEq {
                    true if is_one_value(subquery) => *expr = compared(left, subquery, true),
                    true => *expr = is_in(left, subquery, true),
                    false => rename(subquery)?,
                }
            }
        }
        _ => {}
    }
    Ok(())
}

/// What holds where a comparison does not.
fn other_than(op: &BinaryOperator) -> Option<BinaryOperator> {
    Some(match op {
        BinaryOperator::Eq => BinaryOperator::NotEq,
        BinaryOperator::NotEq => BinaryOperator::Eq,
        BinaryOperator::Lt => BinaryOperator::GtEq,
        BinaryOperator::LtEq => BinaryOperator::Gt,
        BinaryOperator::Gt => BinaryOperator::LtEq,
        BinaryOperator::GtEq => BinaryOperator::Lt,
        _ => return None,
    })
}

/// Whether a list is written with its values, none of which is NULL.
fn is_of_values(list: &Expr) -> bool {
    let is_value = |expr: &Expr| {
        let null = matches!(expr, Expr::Value(value) if value.value == Value::Null);
        is_literal(expr) && !null
    };
    matches!(unnested(list), Expr::Array(list) if list.elem.iter().all(is_value))
}

/// Takes the fields that follow a name for its parts: of `q.x[1]` the column is `q.x`.
fn name_column(root: &mut Expr, access_chain: &mut Vec<AccessExpr>) {
    let mut parts = match root {
        Expr::Identifier(first) => vec![first.clone()],
        Expr::CompoundIdentifier(parts) => parts.clone(),
        _ => return,
    };
    let named = |access: &AccessExpr| match access {
        AccessExpr::Dot(Expr::Identifier(part)) => Some(part.clone()),
        _ => None,
    };
    let more: Vec<Ident> = access_chain.iter().map_while(named).collect();
    if !more.is_empty() && more.len() < access_chain.len() {
        access_chain.drain(..more.len());
        parts.extend(more);
        *root = Expr::CompoundIdentifier(parts);
    }
}

fn unnested(mut expr: &Expr) -> &Expr {
    while let Expr::Nested(inner) = expr {
        expr = inner;
    }
    expr
}

/// An element of a list that is made of a group's rows. The engine (DataFusion 55) takes the row of this number, also of different
/// values, and has but one order of rows for all such calls. The first and last are found without making a list.
fn element_of_list(root: &Expr, access_chain: &[AccessExpr]) -> Result<Option<Expr>> {
    let (Expr::Function(list), [AccessExpr::Subscript(Subscript::Index { index })]) =
        (unnested(root), access_chain)
    else {
        return Ok(None);
    };
    if !is_call_of(list, "array_agg") || list.over.is_some() {
        return Ok(None);
    }
    let mut end = list.clone();
    let arguments = match &mut end.args {
        FunctionArguments::List(arguments) => arguments,
        _ => return Ok(None),
    };
    arguments.duplicate_treatment = None;
    let name = match index.to_string().as_str() {
        "1" => "first_value",
        "-1" => "last_value",
        _ => "",
    };
    if !is_ordered(list) || name.is_empty() {
        return filled("array_element($1, $2)", &[root.clone(), index.clone()]).map(Some);
    }
    end.name = ObjectName::from(vec![Ident::new(name)]);
    Ok(Some(Expr::Function(end)))
}

/// Whether a call says in which order it takes its rows.
fn is_ordered(function: &Function) -> bool {
    let is_order = |clause: &_| matches!(clause, FunctionArgumentClause::OrderBy(_));
    matches!(&function.args, FunctionArguments::List(list) if list.clauses.iter().any(is_order))
}

fn is_negative(expr: &Expr) -> bool {
    matches!(expr, Expr::UnaryOp { op: UnaryOperator::Minus, expr } if matches!(expr.as_ref(), Expr::Value(_)))
}

fn is_and_or_or(expr: &Expr) -> bool {
    matches!(
        expr,
        Expr::BinaryOp {
            op: BinaryOperator::And | BinaryOperator::Or,
            ..
        }
    )
}

/// Whether an expression is true or false by how it is written.
fn is_condition(expr: &Expr) -> bool {
    match expr {
        Expr::Nested(expr) => is_condition(expr),
        Expr::BinaryOp { op, .. } => matches!(
            op,
            BinaryOperator::And
                | BinaryOperator::Or
                | BinaryOperator::Eq
                | BinaryOperator::NotEq
                | BinaryOperator::Lt
                | BinaryOperator::LtEq
                | BinaryOperator::Gt
                | BinaryOperator::GtEq
        ),
        Expr::UnaryOp { op, .. } => *op == UnaryOperator::Not,
        other => matches!(
            other,
            Expr::IsNull(_)
                | Expr::IsNotNull(_)
                | Expr::IsTrue(_)
                | Expr::IsNotTrue(_)
                | Expr::IsFalse(_)
                | Expr::IsNotFalse(_)
                | Expr::IsDistinctFrom(..)
                | Expr::IsNotDistinctFrom(..)
                | Expr::Between { .. }
                | Expr::InList { .. }
                | Expr::InSubquery { .. }
                | Expr::Exists { .. }
                | Expr::Like { .. }
                | Expr::ILike { .. }
        ),
    }
}

/// Whether the first of terms that AND and OR join, in no parentheses, is an IS DISTINCT FROM.
fn begins_distinct(mut expr: &Expr) -> bool {
    loop {
        expr = match expr {
            Expr::BinaryOp { left, .. } if is_and_or_or(expr) => left,
            Expr::UnaryOp {
                op: UnaryOperator::Not,
                expr,
            } => expr,
            Expr::IsDistinctFrom(..) | Expr::IsNotDistinctFrom(..) => return true,
            _ => return false,
        };
    }
}

/// `a ∘ (b AND c)` as `(a ∘ b) AND c`, where ∘ binds closer: so for OR, and for what stands first in `b`.
fn regroup(expr: &mut Expr) {
    // An AND binds as close as `a AND` does: only what OR joins is taken apart there.
    let closer_than_and = !matches!(expr, Expr::BinaryOp { .. });
    let Some(right) = right_of(expr) else { return };
    let mut joined = std::mem::replace(right, Expr::value(Value::Null));
    put_first(&mut joined, closer_than_and, expr);
    *expr = joined;
}

/// Puts what stands first in `joined` into `whole`, and `whole` in its place.
fn put_first(joined: &mut Expr, through_and: bool, whole: &mut Expr) {
    match joined {
        Expr::BinaryOp { left, op, .. }
            if *op == BinaryOperator::Or || (through_and && *op == BinaryOperator::And) =>
        {
            put_first(left, through_and, whole);
        }
        first => {
            if let Some(right) = right_of(whole) {
                std::mem::swap(right, first);
                std::mem::swap(whole, first);
            }
        }
    }
}

fn right_of(expr: &mut Expr) -> Option<&mut Expr> {
    match expr {
        Expr::IsDistinctFrom(_, right)
        | Expr::IsNotDistinctFrom(_, right)
        | Expr::BinaryOp { right, .. }
        | Expr::UnaryOp { expr: right, .. } => Some(right),
        _ => None,
    }
}

fn is_in(left: &Expr, subquery: &Query, negated: bool) -> Expr {
    Expr::InSubquery {
        expr: Box::new(left.clone()),
        subquery: Box::new(subquery.clone()),
        negated,
    }
}

/// Names the column of a subquery that has a condition on it, too. The engine (DataFusion 55) shows what is compared with the query
/// around it beside the column, and that must not have the same name.
fn name_apart(subquery: &mut Query) {
    if let SetExpr::Select(select) = subquery.body.as_mut()
        && select.distinct.is_none()
        && matches!(&select.group_by, GroupByExpr::Expressions(keys, _) if keys.is_empty())
        && let [
            SelectItem::UnnamedExpr(column @ (Expr::Identifier(_) | Expr::CompoundIdentifier(_))),
        ] = select.projection.as_slice()
        && visit_expressions(&select.selection, |expr| match expr == column {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        })
        .is_break()
    {
        let alias = Ident::new("columna_compared");
        let expr = column.clone();
        select.projection = vec![SelectItem::ExprWithAlias { expr, alias }];
    }
}

/// Gives the rows of a subquery and their column names of their own. The engine (DataFusion 55) looks up what stands before
/// `>= ALL (…)` within the subquery first: about the same table it would compare each row there with itself.
fn rename(subquery: &mut Query) -> Result<()> {
    let mut named = query("SELECT * FROM (SELECT 1) AS quantified(columna_quantified)")?;
    if let SetExpr::Select(select) = named.body.as_mut()
        && let [
            TableWithJoins {
                relation: TableFactor::Derived { subquery: rows, .. },
                ..
            },
        ] = select.from.as_mut_slice()
    {
        std::mem::swap(rows.as_mut(), subquery);
        *subquery = named;
    }
    Ok(())
}

fn call(function: &mut Function) -> Result<Option<Expr>> {
    let [part] = function.name.0.as_slice() else {
        return Ok(None);
    };
    let Some(name) = part.as_ident().filter(|name| name.quote_style.is_none()) else {
        return Ok(None);
    };
    let name = name.value.to_ascii_lowercase();
    if ["string_agg", "group_concat", "listagg"].contains(&name.as_str()) {
        separate(function);
    }
    if name == "strftime" {
        format_last(function);
    }
    if let Some((_, other)) = NAMES.iter().find(|(known, _)| *known == name) {
        function.name = ObjectName::from(vec![Ident::new(*other)]);
        return Ok(None);
    }
    if name == "mode" {
        over_its_order(function);
    }
    if name == "any_value" && function.over.is_none() && is_ordered(function) {
        function.name = ObjectName::from(vec![Ident::new("first_value")]);
        function.null_treatment = Some(NullTreatment::IgnoreNulls);
    }
    if name == "struct_pack" {
        pack(function);
        return Ok(None);
    }
    if let ("array", FunctionArguments::Subquery(rows)) = (name.as_str(), &function.args) {
        return listed(rows).map(Some);
    }
    let Some(mut arguments) = arguments(function) else {
        return Ok(None);
    };
    if OF_ROWS.contains(&name.as_str()) {
        if function.over.is_some() {
            return plan_err!("`{name}` is not supported as a window function");
        }
        if let (Some(filter), [value]) = (function.filter.take(), arguments.as_mut_slice()) {
            *value = filled("CASE WHEN $1 THEN $2 END", &[*filter, value.clone()])?;
        }
    }
    if ["max", "min"].contains(&name.as_str())
        && function.over.is_none()
        && let [record] = arguments.as_slice()
        && fields(record).is_some()
    {
        arguments.push(record.clone());
    }
    let form = match (name.as_str(), arguments.as_slice()) {
        ("date_diff" | "datediff", [part, _, _]) => {
            let part = unit(part);
            let known = DIFFERENCES
                .iter()
                .find(|(known, _)| part.as_deref() == Some(known));
            return match (known, part) {
                (Some((_, form)), _) => filled(form, &arguments[1..]).map(Some),
                (None, Some(part)) => plan_err!(
                    "`{name}` does not know '{part}': it counts {}",
                    DIFFERENCES.map(|(known, _)| known).join(", ")
                ),
                _ => Ok(None),
            };
        }
        ("date_diff" | "datediff", [_, _]) => {
            return plan_err!(
                "`{name}` counts parts of time between two, and needs to know which: write `{name}('day', a, b)`"
            );
        }
        ("date_part" | "datepart", [part, time])
            if let Some(form) = unit(part).as_deref().and_then(parts::long) =>
        {
            return filled(form, std::slice::from_ref(time)).map(Some);
        }
        ("date_trunc" | "datetrunc", [part, time])
            if let Some(form) = unit(part).as_deref().and_then(parts::first) =>
        {
            return filled(form, std::slice::from_ref(time)).map(Some);
        }
        ("date_part" | "datepart" | "date_trunc" | "datetrunc", [part, _])
        | ("date_sub" | "datesub", [part, _, _]) => {
            name_part(function, part);
            return Ok(None);
        }
        ("generate_series" | "range", [_, _, step]) if is_text(step) => {
            step_by_interval(function);
            return Ok(None);
        }
        ("lag" | "lead", [_, _, default]) if !is_literal(default) => {
            return Ok(Some(defaulted(function, &arguments)));
        }
        ("to_char", [_, format]) if is_template(format) => {
            return plan_err!(
                "formats of `to_char` are such as '%Y-%m-%d %H:%M:%S'; other letters would stand for themselves"
            );
        }
        ("strptime", [_, format]) if is_plain(format) => "to_timestamp($1, $2)",
        // How many rows.
        ("sum", [condition]) if is_condition(condition) => "sum(CAST($1 AS BIGINT))",
        ("arg_max" | "max_by", [_, _]) if function.over.is_none() => GREATEST,
        ("arg_min" | "min_by", [_, _]) if function.over.is_none() => LEAST,
        ("arg_max" | "max_by" | "arg_min" | "min_by", [_, _, _])
            if function.over.is_none() && function.filter.is_none() =>
        {
            match name.contains("max") {
                true => LAST,
                false => FIRST,
            }
        }
        ("max", [_, record]) if fields(record).is_some() => GREATEST,
        ("min", [_, record]) if fields(record).is_some() => LEAST,
        ("max" | "min", [value, count]) if function.over.is_none() && function.filter.is_none() => {
            let form = if name == "max" { LAST } else { FIRST };
            return filled(form, &[value.clone(), value.clone(), count.clone()]).map(Some);
        }
        (name, arguments) => {
            let form = FORMS
                .iter()
                .find(|(known, count, _)| *known == name && *count == arguments.len());
            let Some((_, _, form)) = form else {
                return Ok(None);
            };
            form
        }
    };
    let mut other = match by_fields(form, &arguments) {
        Some((form, arguments)) => filled(&form, &arguments)?,
        None => filled(form, &arguments)?,
    };
    if let Expr::Function(other) = &mut other {
        other.over = function.over.take();
        other.filter = match (other.filter.take(), function.filter.take()) {
            (Some(one), Some(two)) => Some(Box::new(Expr::BinaryOp {
                left: Box::new(Expr::Nested(one)),
                op: BinaryOperator::And,
                right: Box::new(Expr::Nested(two)),
            })),
            (one, two) => one.or(two),
        };
    }
    Ok(Some(other))
}

/// The greatest or least by a record are those by its fields, of which one that is missing is the greatest. The engine (DataFusion
/// 55) keeps the batch of each group's record, and counts its bytes again and again.
fn by_fields(form: &str, arguments: &[Expr]) -> Option<(String, Vec<Expr>)> {
    let key = arguments
        .get(1)
        .filter(|_| [GREATEST, LEAST, FIRST, LAST].contains(&form))?;
    let fields = fields(key)?;
    let (by, direction) = match form.contains("$2 DESC") {
        true => ("$2 DESC", "DESC NULLS FIRST"),
        false => ("$2", "NULLS LAST"),
    };
    let places = arguments.len() + 1..;
    let keys = places
        .zip(&fields)
        .map(|(place, _)| format!("${place} {direction}"));
    let keys = keys.collect::<Vec<_>>().join(", ");
    let form = form
        .replace(" AND $2 IS NOT NULL", "")
        .replacen(by, &keys, 1);
    Some((form, [arguments, &fields].concat()))
}

/// The values of a record that is made here.
fn fields(record: &Expr) -> Option<Vec<Expr>> {
    match record {
        Expr::Tuple(fields) => Some(fields.clone()),
        Expr::Dictionary(fields) => {
            let values = fields.iter().map(|field| field.value.as_ref().clone());
            Some(values.collect())
        }
        Expr::Function(function) if is_call_of(function, "row") => arguments(function),
        Expr::Function(function) if is_call_of(function, "named_struct") => Some(
            arguments(function)?
                .into_iter()
                .skip(1)
                .step_by(2)
                .collect(),
        ),
        _ => None,
    }
}

pub(crate) fn is_call_of(function: &Function, name: &str) -> bool {
    matches!(function.name.0.as_slice(), [part] if part.as_ident().is_some_and(|part| part.value.eq_ignore_ascii_case(name)))
}

/// `mode() WITHIN GROUP (ORDER BY x)` is `mode(x)`.
fn over_its_order(function: &mut Function) {
    if let FunctionArguments::List(list) = &mut function.args
        && list.args.is_empty()
        && let [by] = function.within_group.as_slice()
    {
        let value = FunctionArgExpr::Expr(by.expr.clone());
        list.args.push(FunctionArg::Unnamed(value));
        function.within_group.clear();
    }
}

/// Texts are put together with a comma where nothing else is said.
fn separate(function: &mut Function) {
    if let FunctionArguments::List(list) = &mut function.args
        && list.args.len() == 1
    {
        let comma = Expr::value(Value::SingleQuotedString(",".to_owned()));
        list.args
            .push(FunctionArg::Unnamed(FunctionArgExpr::Expr(comma)));
    }
}

/// `struct_pack(a := x)` names its fields as `named_struct('a', x)` does.
fn pack(function: &mut Function) {
    if let FunctionArguments::List(list) = &mut function.args
        && list
            .args
            .iter()
            .all(|argument| matches!(argument, FunctionArg::Named { .. }))
    {
        let named = std::mem::take(&mut list.args).into_iter();
        let both = named.flat_map(|argument| match argument {
            FunctionArg::Named { name, arg, .. } => {
                let name = Expr::value(Value::SingleQuotedString(name.value));
                vec![
                    FunctionArg::Unnamed(FunctionArgExpr::Expr(name)),
                    FunctionArg::Unnamed(arg),
                ]
            }
            other => vec![other],
        });
        list.args = both.collect();
        function.name = ObjectName::from(vec![Ident::new("named_struct")]);
    }
}

/// `strftime('%Y', day)` is `strftime(day, '%Y')`.
fn format_last(function: &mut Function) {
    if let FunctionArguments::List(list) = &mut function.args
        && let [first, last] = list.args.as_mut_slice()
        && let (
            FunctionArg::Unnamed(FunctionArgExpr::Expr(format)),
            FunctionArg::Unnamed(FunctionArgExpr::Expr(moment)),
        ) = (&*first, &*last)
        && is_text(format)
        && !is_text(moment)
    {
        std::mem::swap(first, last);
    }
}

/// Whether a format of a moment is given as text, with nothing that other engines read in another way.
fn is_plain(format: &Expr) -> bool {
    let Expr::Value(value) = format else {
        return false;
    };
    let Value::SingleQuotedString(text) = &value.value else {
        return false;
    };
    !["%f", "%g", "%n", "%Z"]
        .iter()
        .any(|part| text.contains(part))
}

/// Whether a format of a moment is written as in PostgreSQL, 'YYYY-MM-DD'.
fn is_template(format: &Expr) -> bool {
    match format {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => {
                !text.contains('%') && text.contains(|c: char| c.is_ascii_alphabetic())
            }
            _ => false,
        },
        _ => false,
    }
}

/// The arguments of a plain call: none named, no DISTINCT, no clause of its own.
fn arguments(function: &Function) -> Option<Vec<Expr>> {
    let FunctionArguments::List(list) = &function.args else {
        return None;
    };
    if list.duplicate_treatment.is_some() || !list.clauses.is_empty() {
        return None;
    }
    let plain = list.args.iter().map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    });
    plain.collect()
}

/// A query by its text.
///
/// # Errors
/// When the text is none.
pub(crate) fn query(sql: &str) -> Result<Query> {
    let mut parser = Parser::new(&GenericDialect {}).try_with_sql(sql)?;
    Ok(*parser.parse_query()?)
}

/// A form with the arguments in place of `$1`, `$2`.
pub(crate) fn filled(form: &str, arguments: &[Expr]) -> Result<Expr> {
    let mut expr = Parser::new(&GenericDialect {})
        .try_with_sql(form)?
        .parse_expr()?;
    // The visitor never breaks off, and does not enter what it has put in.
    let _ = visit_expressions_mut(&mut expr, |expr| {
        if let Expr::Value(value) = expr
            && let Value::Placeholder(name) = &value.value
            && let Some(at) = name
                .strip_prefix('$')
                .and_then(|at| at.parse::<usize>().ok())
            && let Some(argument) = arguments.get(at.wrapping_sub(1))
        {
            *expr = Expr::Nested(Box::new(argument.clone()));
        }
        ControlFlow::<()>::Continue(())
    });
    Ok(match expr {
        function @ Expr::Function(_) => function,
        other => Expr::Nested(Box::new(other)),
    })
}

/// Puts the engine's name of a part in the place of another one of it.
fn name_part(function: &mut Function, part: &Expr) {
    if let Expr::Value(written) = part
        && let Value::SingleQuotedString(text) = &written.value
        && let FunctionArguments::List(list) = &mut function.args
        && let Some(first) = list.args.first_mut()
    {
        let name = parts::named(text);
        if !name.eq_ignore_ascii_case(text) {
            let name = Expr::value(Value::SingleQuotedString(name));
            *first = FunctionArg::Unnamed(FunctionArgExpr::Expr(name));
        }
    }
}

/// The text by which a series goes on is an interval.
fn step_by_interval(function: &mut Function) {
    if let FunctionArguments::List(list) = &mut function.args {
        step_of(&mut list.args);
    }
}

/// The last of three arguments as an interval, where it is a text.
pub(crate) fn step_of(args: &mut [FunctionArg]) {
    if let [_, _, FunctionArg::Unnamed(FunctionArgExpr::Expr(step))] = args
        && is_text(step)
    {
        *step = Expr::Interval(Interval {
            value: Box::new(step.clone()),
            leading_field: None,
            leading_precision: None,
            last_field: None,
            fractional_seconds_precision: None,
        });
    }
}

fn is_text(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(value) if matches!(value.value, Value::SingleQuotedString(_)))
}

fn is_literal(expr: &Expr) -> bool {
    match expr {
        Expr::Value(_) | Expr::TypedString(_) => true,
        Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr,
        } => is_literal(expr),
        _ => false,
    }
}

/// `lag(x, n, d)` where the engine takes only a literal for `d`: `d` in the rows that have no row so far away.
fn defaulted(function: &Function, arguments: &[Expr]) -> Expr {
    let of = |first: Expr| {
        let mut call = function.clone();
        if let FunctionArguments::List(list) = &mut call.args {
            list.args.truncate(2);
            list.args[0] = FunctionArg::Unnamed(FunctionArgExpr::Expr(first));
        }
        Expr::Function(call)
    };
    let one = Expr::value(Value::Number("1".to_owned(), false));
    Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions: vec![CaseWhen {
            condition: Expr::IsNull(Box::new(of(one))),
            result: arguments[2].clone(),
        }],
        else_result: Some(Box::new(of(arguments[0].clone()))),
    }
}
