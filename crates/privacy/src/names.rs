//! What of a statement are names: nothing else of one that could not be planned goes into the log.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use datafusion::execution::SessionState;
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer, Word};

use crate::policy::Table;

/// The engine's own schemas.
const SCHEMAS: [&str; 3] = ["datafusion", "information_schema", "public"];
/// How texts begin that stand for a statement which cannot be shown.
const INSTEAD: &str = "a statement of ";

/// The names of a store's tables and columns, hidden ones too, and of a session's functions: in lower case.
#[derive(Default)]
pub(crate) struct Names {
    of_store: BTreeSet<String>,
    of_functions: OnceLock<BTreeSet<String>>,
}

impl Names {
    pub(crate) fn of(tables: &[Table]) -> Self {
        let names = tables.iter().flat_map(|table| {
            let columns = table.schema.fields().iter();
            columns.map(|field| field.name()).chain([&table.name])
        });
        let names = names.map(|name| name.to_lowercase());
        Self {
            of_store: names.chain(SCHEMAS.map(str::to_owned)).collect(),
            of_functions: OnceLock::new(),
        }
    }

    /// Learns the names of a session's functions, once.
    pub(crate) fn learn(&self, state: &SessionState) {
        self.of_functions.get_or_init(|| {
            let scalar = state.scalar_functions().keys();
            let aggregate = state.aggregate_functions().keys();
            let all = scalar
                .chain(aggregate)
                .chain(state.window_functions().keys())
                .chain(state.table_functions().keys());
            all.map(|name| name.to_lowercase()).collect()
        });
    }

    /// A statement with `?` in place of every word that is neither a name nor one of SQL: `sex = \"Kim\"`, `sex = [Kim]` and
    /// `sex = Kim` hold values, to who is used to other engines.
    pub(crate) fn only(&self, statement: &str) -> String {
        if statement.starts_with(INSTEAD) {
            return statement.to_owned();
        }
        let Ok(tokens) = Tokenizer::new(&GenericDialect {}, statement).tokenize() else {
            return format!("{INSTEAD}unknown parts");
        };
        let shown = tokens.into_iter().map(|token| match token {
            Token::Word(word) if !self.has(&word) => "?".to_owned(),
            other => other.to_string(),
        });
        shown.collect()
    }

    fn has(&self, word: &Word) -> bool {
        // Single letters are words of SQL in places, and codes of sexes.
        let of_sql = word.keyword != Keyword::NoKeyword && word.value.len() > 1;
        let name = word.value.to_lowercase();
        (of_sql && word.quote_style.is_none())
            || self.of_store.contains(&name)
            || self
                .of_functions
                .get()
                .is_some_and(|all| all.contains(&name))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::datatypes::{DataType, Field, Schema};
    use datafusion::prelude::SessionContext;

    use super::*;

    #[test]
    fn no_value_in_the_place_of_a_name_is_kept() {
        let emr = Table {
            name: "emr".to_owned(),
            person_key: None,
            schema: Arc::new(Schema::new(vec![
                Field::new("sex", DataType::Utf8, true),
                Field::new("시군구", DataType::Utf8, true),
            ])),
        };
        let names = Names::of(&[emr]);
        names.learn(&SessionContext::new().state());
        for (statement, shown) in [
            (
                "SELECT * FROM emr WHERE sex = \"김철수\"",
                "SELECT * FROM emr WHERE sex = ?",
            ),
            (
                "SELECT * FROM emr WHERE sex = `김철수`",
                "SELECT * FROM emr WHERE sex = ?",
            ),
            (
                "SELECT * FROM emr WHERE sex = [김철수]",
                "SELECT * FROM emr WHERE sex = [?]",
            ),
            (
                "SELECT * FROM emr WHERE sex = 김철수",
                "SELECT * FROM emr WHERE sex = ?",
            ),
            (
                "SELECT sex FROM emr WHERE sex = F",
                "SELECT sex FROM emr WHERE sex = ?",
            ),
            (
                "SELECT kim.sex AS kim FROM emr kim",
                "SELECT ?.sex AS ? FROM emr ?",
            ),
            (
                "SELECT kim(sex), COUNT(\"시군구\") FROM EMR",
                "SELECT ?(sex), COUNT(\"시군구\") FROM EMR",
            ),
            (
                "EXPLAIN SELECT sex = ? FROM emr",
                "EXPLAIN SELECT sex = ? FROM emr",
            ),
            (
                "a statement of the engine's own",
                "a statement of the engine's own",
            ),
            ("SELECT 'kim", "a statement of unknown parts"),
            ("", ""),
        ] {
            assert_eq!(names.only(statement), shown);
        }
    }
}
