//! One statement of a script: options by name, parameters, and its plan.
//!
//! DataFusion's own `SessionContext::sql` works too, with two limits that this lifts: it has no gaps between
//! optional arguments (`kaplan_meier(time => t, event => e, conf_level => 0.9)` leaves out `conf_type`), and
//! it plans a parameter before its type is known.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use columna_model::Day;
use columna_privacy::Gate;
use columna_privacy::guard::GuardedTable;
use columna_store::scan::SnapshotTable;
use datafusion::common::{Result, plan_err};
use datafusion::dataframe::DataFrame;
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, SessionState};
use datafusion::logical_expr::{DdlStatement, LogicalPlan};
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::{CopyToSource, Statement};
use datafusion::sql::sqlparser::ast::{
    self, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgOperator,
    FunctionArguments, Ident, JoinConstraint, JoinOperator, LimitClause, ObjectNamePart, Query,
    SetExpr, SetOperator, SetQuantifier, TableFactor, TableWithJoins, TypedString, UnaryOperator,
    Value, Visit, VisitMut, Visitor, visit_expressions_mut,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer, Whitespace};

use crate::asof::AsOf;
use crate::casts::Casts;
use crate::depth;
use crate::dialect;
use crate::functions::aggregate;
use crate::joins::Joins;
use crate::known_columns::{self, Tables};
use crate::lateral_values::LateralValues;
use crate::named_windows::NamedWindows;
use crate::operators::Operators;
use crate::own_aliases;
use crate::pivot::Pivots;
use crate::read_twice::ReadTwice;
use crate::selects::{NamesApart, Selects};
use crate::subquery_names::SubqueryNames;
use crate::unread;

/// The value of a parameter, typed.
#[derive(Debug, Clone, PartialEq)]
pub enum Parameter {
    /// A whole number.
    Integer(i64),
    /// A number.
    Float(f64),
    /// A calendar day.
    Date(Day),
    /// Anything else.
    Text(String),
}

impl Parameter {
    /// Takes text for what it looks like: `7`, `0.5`, `2024-02-29`, or text.
    #[must_use]
    pub fn infer(text: &str) -> Self {
        let numeric = text
            .chars()
            .all(|c| c.is_ascii_digit() || "+-.eE".contains(c));
        if let (true, Ok(integer)) = (numeric, text.parse()) {
            return Self::Integer(integer);
        }
        if let (true, Ok(float)) = (numeric, text.parse::<f64>())
            && float.is_finite()
        {
            return Self::Float(float);
        }
        day(text).map_or_else(|| Self::Text(text.to_owned()), Self::Date)
    }

    fn literal(&self) -> Expr {
        let signed = |number: String| match number.strip_prefix('-') {
            None => Expr::value(Value::Number(number, false)),
            Some(magnitude) => Expr::UnaryOp {
                op: UnaryOperator::Minus,
                expr: Box::new(Expr::value(Value::Number(magnitude.to_owned(), false))),
            },
        };
        match self {
            Self::Integer(number) => signed(number.to_string()),
            Self::Float(number) => signed(format!("{number:?}")),
            Self::Date(day) => Expr::TypedString(TypedString {
                data_type: DataType::Date,
                value: Value::SingleQuotedString(day.to_string()).into(),
                uses_odbc_syntax: false,
            }),
            Self::Text(text) => Expr::value(Value::SingleQuotedString(text.clone())),
        }
    }
}

fn day(text: &str) -> Option<Day> {
    let mut parts = text.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if (year.len(), month.len(), day.len()) != (4, 2, 2) || parts.next().is_some() {
        return None;
    }
    Day::from_civil(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?)
}

/// Parameters by name, without the `$`.
pub type Parameters = BTreeMap<String, Parameter>;

/// Plans one statement. DDL and SET take effect when the frame is made, queries when it is collected.
///
/// # Errors
///
/// When the statement can't be parsed or planned, or there is more than one.
pub async fn sql(ctx: &SessionContext, text: &str) -> Result<DataFrame> {
    sql_with(ctx, text, &Parameters::new()).await
}

/// Plans one statement with values for its `$name`s.
///
/// # Errors
///
/// As [`sql`], and when a parameter has no value.
pub async fn sql_with(
    ctx: &SessionContext,
    text: &str,
    parameters: &Parameters,
) -> Result<DataFrame> {
    let plan = plan(ctx, text, parameters).await?;
    ctx.execute_logical_plan(plan).await
}

/// Starts one statement; dropping the stream cancels it.
///
/// # Errors
///
/// As [`sql_with`].
pub async fn stream(
    ctx: &SessionContext,
    text: &str,
    parameters: &Parameters,
) -> Result<SendableRecordBatchStream> {
    sql_with(ctx, text, parameters)
        .await?
        .execute_stream()
        .await
}

/// The logical plan of one statement, before any optimisation.
///
/// # Errors
///
/// As [`sql_with`].
pub async fn plan(
    ctx: &SessionContext,
    text: &str,
    parameters: &Parameters,
) -> Result<LogicalPlan> {
    let state = ctx.state();
    let gate = state.config().get_extension::<Gate>();
    let dialect = state.config_options().sql_parser.dialect;
    let mut without_values = String::new();
    let planned = async {
        let too_deep = || "a statement of too many parts within each other".to_owned();
        let text = &unread::readable(text)?;
        depth::explained(text).inspect_err(|_| without_values = too_deep())?;
        let mut statement = state.sql_to_statement(text, &dialect)?;
        if let Err(error) = depth::check(&statement) {
            without_values = too_deep();
            // To drop it takes as deep a stack as to follow it.
            std::mem::forget(statement);
            return Err(error);
        }
        if gate.is_some() {
            without_values = shape(&statement);
        }
        refuse(&statement)?;
        let tables = tables(&state, text, &statement).await;
        prepare(&mut statement, parameters, &tables)?;
        let mut twice = ReadTwice { state: &state };
        if let ControlFlow::Break(error) = own_aliases::selects_of(&mut statement, &mut twice) {
            return Err(error);
        }
        own_aliases::planned(&state, statement).await
    };
    let planned = planned.await;
    if let Some(gate) = gate {
        match &planned {
            Ok(plan) => gate.admit(&without_values, plan)?,
            Err(error) => gate.reject(&without_values, error)?,
        }
    }
    if let Ok(plan) = &planned {
        keep_stored(ctx, plan).await?;
    }
    planned
}

/// The columns of the tables, where it may matter whose a column is.
async fn tables(state: &SessionState, text: &str, statement: &Statement) -> Tables {
    if text.to_ascii_lowercase().matches("using").count() < 2 {
        return Tables::new();
    }
    match innermost(statement) {
        Statement::Statement(statement) => known_columns::tables(state, statement.as_ref()).await,
        Statement::CopyTo(copy) => match &copy.source {
            CopyToSource::Query(query) => known_columns::tables(state, query.as_ref()).await,
            CopyToSource::Relation(_) => Tables::new(),
        },
        _ => Tables::new(),
    }
}

/// What is explained, if something is.
fn innermost(statement: &Statement) -> &Statement {
    match statement {
        Statement::Explain(explain) => innermost(&explain.statement),
        other => other,
    }
}

/// Refuses to drop a table of the store: it would go from the session alone, and the store would have it still.
async fn keep_stored(ctx: &SessionContext, plan: &LogicalPlan) -> Result<()> {
    let LogicalPlan::Ddl(DdlStatement::DropTable(drop)) = plan else {
        return Ok(());
    };
    // What is not there is the engine's to say.
    let Ok(table) = ctx.table_provider(drop.name.clone()).await else {
        return Ok(());
    };
    if table.is::<SnapshotTable>() || table.is::<GuardedTable>() {
        return plan_err!(
            "`{}` is a table of the store, of which SQL drops nothing; CREATE OR REPLACE TABLE hides it for this session",
            drop.name.table()
        );
    }
    Ok(())
}

/// A statement with `?` in place of its values, and without its comments: both may hold a patient's.
fn shape(statement: &Statement) -> String {
    let Statement::Statement(statement) = statement else {
        return match statement {
            Statement::Explain(explain) => format!("EXPLAIN {}", shape(&explain.statement)),
            Statement::CreateExternalTable(_) => "CREATE EXTERNAL TABLE".to_owned(),
            Statement::CopyTo(_) => "COPY".to_owned(),
            _ => "a statement of the engine's own".to_owned(),
        };
    };
    let mut statement = statement.as_ref().clone();
    let _: ControlFlow<()> = visit_expressions_mut(&mut statement, |expr| {
        if matches!(
            expr,
            Expr::Value(_) | Expr::TypedString(_) | Expr::Interval(_)
        ) {
            *expr = Expr::value(Value::Placeholder("?".to_owned()));
        }
        ControlFlow::Continue(())
    });
    unread::shown(without_literals(&statement.to_string()))
}

/// What is left in clauses that are no expressions, such as `COMMENT ON … IS '…'`, and in quoted names that are more than
/// a word: who is used to other engines writes values in such quotes, too.
fn without_literals(text: &str) -> String {
    let Ok(tokens) = Tokenizer::new(&GenericDialect {}, text).tokenize() else {
        return "a statement of unknown parts".to_owned();
    };
    let shown = tokens.into_iter().map(|token| match token {
        Token::Word(word) if word.quote_style.is_some() && !is_word(&word.value) => {
            "\"?\"".to_owned()
        }
        // What `1_000` leaves of a number.
        Token::Word(word) if word.value.chars().all(|c| c.is_ascii_digit() || c == '_') => {
            "?".to_owned()
        }
        Token::Whitespace(
            Whitespace::SingleLineComment { .. } | Whitespace::MultiLineComment(_),
        ) => String::new(),
        Token::Number(..)
        | Token::SingleQuotedString(_)
        | Token::DoubleQuotedString(_)
        | Token::TripleSingleQuotedString(_)
        | Token::TripleDoubleQuotedString(_)
        | Token::DollarQuotedString(_)
        | Token::SingleQuotedByteStringLiteral(_)
        | Token::DoubleQuotedByteStringLiteral(_)
        | Token::TripleSingleQuotedByteStringLiteral(_)
        | Token::TripleDoubleQuotedByteStringLiteral(_)
        | Token::SingleQuotedRawStringLiteral(_)
        | Token::DoubleQuotedRawStringLiteral(_)
        | Token::TripleSingleQuotedRawStringLiteral(_)
        | Token::TripleDoubleQuotedRawStringLiteral(_)
        | Token::NationalStringLiteral(_)
        | Token::EscapedStringLiteral(_)
        | Token::UnicodeStringLiteral(_)
        | Token::HexStringLiteral(_) => "?".to_owned(),
        other => other.to_string(),
    });
    shown.collect()
}

fn is_word(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_alphanumeric() || c == '_')
}

/// Refuses what the engine takes and answers wrongly.
fn refuse(statement: &Statement) -> Result<()> {
    let mut wrong = Wrong::default();
    let refused = match statement {
        Statement::Statement(statement) => {
            wrong.outermost = matches!(statement.as_ref(), ast::Statement::Query(_));
            statement.visit(&mut wrong)
        }
        Statement::CopyTo(copy) => match &copy.source {
            CopyToSource::Query(query) => query.visit(&mut wrong),
            CopyToSource::Relation(_) => return Ok(()),
        },
        Statement::Explain(explain) => return refuse(&explain.statement),
        Statement::CreateExternalTable(_) | Statement::Reset(_) => return Ok(()),
    };
    match refused {
        ControlFlow::Break(why) => plan_err!("{why}"),
        ControlFlow::Continue(()) => Ok(()),
    }
}

/// Breaks off, with what to do instead, at a table of which a sample is asked for, of which the engine takes all rows;
/// at a subquery of which rows are left out after an order, which the engine forgets where nothing limits the rest; at
/// EXCEPT ALL and INTERSECT ALL, of which the engine does not count the rows; and at what it does not have and would print
/// as its parser sees it.
#[derive(Default)]
struct Wrong {
    depth: usize,
    /// Whether the outermost query's rows are the answer: their order is kept.
    outermost: bool,
}

impl Visitor for Wrong {
    type Break = &'static str;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<&'static str> {
        self.depth += 1;
        let skips = matches!(
            &query.limit_clause,
            Some(LimitClause::LimitOffset {
                limit: None,
                offset: Some(_),
                ..
            })
        );
        if skips && query.fetch.is_none() && !(self.outermost && self.depth == 1) {
            return ControlFlow::Break(
                "OFFSET without LIMIT is not supported in a subquery; add a LIMIT that is large enough, or number the rows \
                 with row_number() and leave out the first ones",
            );
        }
        set_operation(&query.body)
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<&'static str> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<&'static str> {
        match expr {
            Expr::Collate { .. } => ControlFlow::Break(
                "COLLATE is not supported; texts are in the order of their characters in Unicode, and `lower(x)` takes capital \
                 letters for small ones",
            ),
            Expr::Function(call)
                if let [.., ObjectNamePart::Identifier(name)] = call.name.0.as_slice()
                    && name.value.to_ascii_lowercase().starts_with("columna_") =>
            {
                ControlFlow::Break(
                    "functions whose names begin with `columna_` are the engine's own: it calls them, and no query does",
                )
            }
            _ => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_table_factor(&mut self, table: &TableFactor) -> ControlFlow<&'static str> {
        match table {
            TableFactor::Table {
                sample: Some(_), ..
            }
            | TableFactor::Derived {
                sample: Some(_), ..
            } => ControlFlow::Break(
                "TABLESAMPLE is not supported; sample whole persons by a condition on their number, where the role sees it, such as `WHERE person_id % 10 = 0`",
            ),
            _ => ControlFlow::Continue(()),
        }
    }
}

fn set_operation(body: &SetExpr) -> ControlFlow<&'static str> {
    match body {
        SetExpr::SetOperation {
            op: SetOperator::Except | SetOperator::Intersect,
            set_quantifier: SetQuantifier::All | SetQuantifier::AllByName,
            ..
        } => ControlFlow::Break(
            "EXCEPT ALL and INTERSECT ALL are not supported; number equal rows on both sides and leave ALL out, such as \
             `SELECT x, row_number() OVER (PARTITION BY x) FROM a EXCEPT SELECT x, row_number() OVER (PARTITION BY x) FROM b`",
        ),
        SetExpr::SetOperation { left, right, .. } => {
            set_operation(left)?;
            set_operation(right)
        }
        SetExpr::Select(select) => select.from.iter().try_for_each(joins),
        _ => ControlFlow::Continue(()),
    }
}

/// What joins say that the engine reads otherwise.
fn joins(tables: &TableWithJoins) -> ControlFlow<&'static str> {
    for join in &tables.joins {
        match join.join_operator {
            JoinOperator::AsOf { .. } => {
                return ControlFlow::Break(
                    "MATCH_CONDITION is not supported; write `a ASOF JOIN b ON a.id = b.id AND a.day >= b.day`",
                );
            }
            // The engine joins each row with each.
            JoinOperator::Join(JoinConstraint::None)
            | JoinOperator::Inner(JoinConstraint::None) => {
                return ControlFlow::Break(
                    "JOIN needs a condition: write `ON a.id = b.id` after it, or CROSS JOIN for each row with each",
                );
            }
            _ => {}
        }
    }
    let within = tables.joins.iter().map(|join| &join.relation);
    for table in within.chain([&tables.relation]) {
        if let TableFactor::NestedJoin {
            table_with_joins, ..
        } = table
        {
            joins(table_with_joins)?;
        }
    }
    ControlFlow::Continue(())
}

/// Fills in parameters and the gaps between optional arguments.
fn prepare(statement: &mut Statement, parameters: &Parameters, tables: &Tables) -> Result<()> {
    let mut missing = None;
    let mut prepare = |expr: &mut Expr| {
        if let Err(error) = dialect::translate(expr) {
            return ControlFlow::Break(error);
        }
        match expr {
            Expr::Value(value) => {
                if let Value::Placeholder(name) = &value.value
                    && let Some(name) = name.strip_prefix('$')
                {
                    match parameters.get(name) {
                        Some(parameter) => *expr = parameter.literal(),
                        None => missing = Some(name.to_owned()),
                    }
                }
            }
            Expr::Function(function) => fill_gaps(function),
            _ => {}
        }
        ControlFlow::Continue(())
    };
    let prepared = match statement {
        Statement::Statement(statement) => {
            // Whatever a session makes ends with it.
            match statement.as_mut() {
                ast::Statement::CreateTable(table) => table.temporary = false,
                ast::Statement::CreateView(view) => view.temporary = false,
                _ => {}
            }
            named(statement.as_mut(), tables, &mut prepare)
        }
        Statement::CopyTo(copy) => match &mut copy.source {
            CopyToSource::Query(query) => named(query.as_mut(), tables, &mut prepare),
            CopyToSource::Relation(_) => ControlFlow::Continue(()),
        },
        Statement::Explain(explain) => {
            return self::prepare(&mut explain.statement, parameters, tables);
        }
        Statement::CreateExternalTable(_) | Statement::Reset(_) => ControlFlow::Continue(()),
    };
    if let ControlFlow::Break(error) = prepared {
        return Err(error);
    }
    match missing {
        Some(name) => {
            plan_err!("the parameter `${name}` has no value; give one with `--param {name}=…`")
        }
        None => Ok(()),
    }
}

/// Prepares windows, columns and joins, then expressions.
fn named<T: VisitMut>(
    of: &mut T,
    tables: &Tables,
    prepare: impl FnMut(&mut Expr) -> ControlFlow<DataFusionError>,
) -> ControlFlow<DataFusionError> {
    of.visit(&mut Pivots)?;
    of.visit(&mut AsOf)?;
    of.visit(&mut NamedWindows)?;
    of.visit(&mut Casts)?;
    of.visit(&mut LateralValues)?;
    of.visit(&mut Selects)?;
    of.visit(&mut Joins { tables })?;
    of.visit(&mut Operators)?;
    visit_expressions_mut(of, prepare)?;
    of.visit(&mut SubqueryNames::default())?;
    of.visit(&mut NamesApart)
}

/// Gives every optional parameter that stands before a named one and was left out the value NULL, which means
/// "not given": DataFusion resolves names, but only as far as no gap remains.
fn fill_gaps(function: &mut Function) {
    let [part] = function.name.0.as_slice() else {
        return;
    };
    let Some(name) = part.as_ident() else { return };
    let Some(parameters) = aggregate::parameters(&name.value.to_ascii_lowercase()) else {
        return;
    };
    let FunctionArguments::List(list) = &mut function.args else {
        return;
    };
    let positional = list
        .args
        .iter()
        .filter(|arg| matches!(arg, FunctionArg::Unnamed(_)))
        .count();
    let given: Vec<Option<usize>> = list
        .args
        .iter()
        .filter_map(argument_name)
        .map(|name| {
            parameters
                .iter()
                .position(|(known, _)| known.eq_ignore_ascii_case(&name))
        })
        .collect();
    let Some(Some(last)) = given.iter().max().copied() else {
        return;
    };
    let gaps = parameters[..last]
        .iter()
        .enumerate()
        .skip(positional)
        .filter(|(index, (_, required))| !required && !given.contains(&Some(*index)));
    let filled: Vec<FunctionArg> = gaps
        .map(|(_, (name, _))| FunctionArg::Named {
            name: Ident::new(*name),
            arg: FunctionArgExpr::Expr(Expr::value(Value::Null)),
            operator: FunctionArgOperator::RightArrow,
        })
        .collect();
    list.args.extend(filled);
}

fn argument_name(argument: &FunctionArg) -> Option<String> {
    match argument {
        FunctionArg::Named { name, .. } => Some(name.value.clone()),
        FunctionArg::ExprNamed {
            name: Expr::Identifier(name),
            ..
        } => Some(name.value.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::sql::parser::DFParser;

    #[test]
    fn statements_on_record_hold_no_values() {
        let on_record = |sql: &str| {
            let parsed = DFParser::parse_sql(sql).map(|mut parsed| parsed.pop_front());
            parsed.map_or(None, |statement| statement.map(|parsed| shape(&parsed)))
        };
        for sql in [
            "SELECT * FROM person WHERE name LIKE 'SECRET%' ESCAPE '!' LIMIT 77777",
            "SELECT * FROM person WHERE name = \"SECRET 77777\"",
            "SELECT TOP 77777 * FROM person",
            "SELECT MATCH (name) AGAINST ('SECRET')",
            "COMMENT ON TABLE person IS 'SECRET'",
            "CREATE TABLE a (x TEXT COMMENT 'SECRET')",
            "SELECT /*+ SECRET 77777 */ 1 -- SECRET",
            "SELECT 900101_77777",
            "EXPLAIN SELECT INTERVAL 'SECRET' DAY, $$SECRET$$, X'77777', E'SECRET', N'SECRET'",
        ] {
            let shown = on_record(sql);
            let told = |shown: &String| !shown.contains("SECRET") && !shown.contains("77777");
            assert!(shown.as_ref().is_some_and(told), "{sql}: {shown:?}");
        }
        let asof = unread::readable("SELECT 7 FROM a ASOF LEFT JOIN b ON a.x = b.x AND a.d > b.d");
        let shown = "SELECT ? FROM a ASOF LEFT JOIN b ON a.x = b.x AND a.d > b.d";
        assert_eq!(
            asof.ok().and_then(|sql| on_record(&sql)).as_deref(),
            Some(shown)
        );
        let sql = "SELECT a.\"b\", count(*) FROM \"T\" AS a WHERE a.x >= 3 GROUP BY 1";
        let shown = "SELECT a.\"b\", count(*) FROM \"T\" AS a WHERE a.x >= ? GROUP BY ?";
        assert_eq!(on_record(sql).as_deref(), Some(shown));
    }

    #[test]
    fn parameters_are_taken_for_what_they_look_like() {
        let text = |text: &str| Parameter::Text(text.to_owned());
        for (given, expected) in [
            ("7", Parameter::Integer(7)),
            ("-7", Parameter::Integer(-7)),
            ("0.5", Parameter::Float(0.5)),
            ("1e3", Parameter::Float(1000.0)),
            (
                "2024-02-29",
                Day::from_civil(2024, 2, 29).map_or(text(""), Parameter::Date),
            ),
            ("2023-02-29", text("2023-02-29")),
            ("24-2-9", text("24-2-9")),
            ("inf", text("inf")),
            ("", text("")),
            ("metformin", text("metformin")),
        ] {
            assert_eq!(Parameter::infer(given), expected, "{given}");
        }
    }
}
