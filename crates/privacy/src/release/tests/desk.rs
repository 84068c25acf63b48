//! A hospital in memory, and who asks about it.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray,
};
use arrow::util::pretty::pretty_format_batches;
use datafusion::datasource::MemTable;
use datafusion::logical_expr::TableScan;
use datafusion::prelude::{SessionConfig, SessionContext};

use crate::Refusal;
use crate::disclosure::profile;
use crate::disclosure::releases::{Reader, Releases};
use crate::ledger::{AccountKey, Ledger};
use crate::release::{
    Controlled, Lens, Method, Notes, Private, Rules, Sources, TableRole, protect,
};

#[derive(Debug)]
struct Tables;

impl Sources for Tables {
    fn role(&self, scan: &TableScan) -> Option<TableRole> {
        if scan.table_name.schema() == Some("information_schema") {
            return Some(TableRole::Public(None));
        }
        match scan.table_name.table() {
            "emr" | "visit" | "lab" | "visit_occurrence" | "stay" => {
                Some(TableRole::Persons("pid".into()))
            }
            "concept" => Some(TableRole::Public(Some("concept_id".into()))),
            "place" => Some(TableRole::Linked(Some("place_id".into()))),
            "bill" => Some(TableRole::Linked(Some("bill_id".into()))),
            "fee" => Some(TableRole::Linked(None)),
            _ => None,
        }
    }

    fn key(&self, scan: &TableScan) -> Option<String> {
        match scan.table_name.table() {
            "emr" => Some("pid".to_owned()),
            "lab" => Some("lab_id".to_owned()),
            "visit_occurrence" => Some("visit_occurrence_id".to_owned()),
            _ => None,
        }
    }

    fn bounds(&self, _: &str, column: &str) -> Option<(f64, f64)> {
        match column {
            "age" => Some((0.0, 100.0)),
            "los" => Some((0.0, 30.0)),
            "days" => Some((0.0, 10.0)),
            _ => None,
        }
    }
}

/// Persons 1 to 400: 200 in hospital A, 197 in B, three in C. Every tenth has diabetes, every 200th a rare disease;
/// three more persons of hospital A have it too.
pub(super) fn emr() -> RecordBatch {
    let n = 400_i64;
    let hosp = |pid: i64| match pid {
        1..=200 => "A",
        398..=400 => "C",
        _ => "B",
    };
    let dx = |pid: i64| {
        if pid % 200 == 0 || pid == 7 {
            "rare"
        } else if pid % 10 == 0 {
            "diabetes"
        } else if pid % 2 == 0 {
            "asthma"
        } else {
            "flu"
        }
    };
    let strings = |f: &dyn Fn(i64) -> String| -> ArrayRef {
        Arc::new((1..=n).map(|pid| Some(f(pid))).collect::<StringArray>())
    };
    let ints = |f: &dyn Fn(i64) -> i64| -> ArrayRef {
        Arc::new((1..=n).map(|pid| Some(f(pid))).collect::<Int64Array>())
    };
    RecordBatch::try_from_iter([
        ("pid", ints(&|pid| pid)),
        ("name", strings(&|pid| format!("name {pid}"))),
        ("age", ints(&|pid| 20 + pid * 37 % 70)),
        (
            "sex",
            strings(&|pid| if pid % 3 == 0 { "M" } else { "F" }.to_owned()),
        ),
        ("zip", strings(&|pid| format!("{:05}", pid % 7))),
        ("dx", strings(&|pid| dx(pid).to_owned())),
        ("hosp", strings(&|pid| hosp(pid).to_owned())),
        ("place_id", ints(&|pid| pid % 4)),
        ("concept_id", ints(&|pid| pid % 5)),
        ("los", ints(&|pid| 1 + pid * 13 % 30)),
        (
            "cost",
            Arc::new(
                (1..=n)
                    .map(|pid| Some(100.0 + (pid * 7919 % 1000) as f64))
                    .collect::<Float64Array>(),
            ),
        ),
        (
            "died",
            Arc::new(
                (1..=n)
                    .map(|pid| Some(pid % 4 == 0))
                    .collect::<BooleanArray>(),
            ),
        ),
        (
            "admitted",
            Arc::new(
                (1..=n)
                    .map(|pid| Some(i32::try_from(18_000 + pid).unwrap()))
                    .collect::<Date32Array>(),
            ),
        ),
    ])
    .unwrap()
}

fn visit() -> RecordBatch {
    // Two visits each; person 5 has a thousand more.
    let pids: Vec<i64> = (1..=400)
        .chain(1..=400)
        .chain(std::iter::repeat_n(5, 1000))
        .collect();
    let kinds: Vec<String> = pids
        .iter()
        .enumerate()
        .map(|(at, _)| if at % 2 == 0 { "in" } else { "out" }.into())
        .collect();
    let days: Vec<i64> = pids.iter().map(|pid| 1 + pid % 9).collect();
    RecordBatch::try_from_iter([
        ("pid", Arc::new(Int64Array::from(pids)) as ArrayRef),
        ("kind", Arc::new(StringArray::from(kinds)) as ArrayRef),
        ("days", Arc::new(Int64Array::from(days)) as ArrayRef),
    ])
    .unwrap()
}

/// Three values of each person, all from one panel.
fn lab() -> RecordBatch {
    let all = || (1..=400_i64).flat_map(|pid| ["a", "b", "c"].map(|kind| (pid, kind)));
    let value = |(pid, kind)| match kind {
        "a" => 10.0 + (pid % 7) as f64,
        "b" => 60.0 + (pid * 31 % 97) as f64,
        _ => 160.0 + (pid % 5) as f64,
    };
    let pids: Int64Array = all().map(|(pid, _)| Some(pid)).collect();
    let kinds: StringArray = all().map(|(_, kind)| Some(kind)).collect();
    let values: Float64Array = all().map(|row| Some(value(row))).collect();
    let numbers = Int64Array::from_iter_values(1..=1_200);
    RecordBatch::try_from_iter([
        ("lab_id", Arc::new(numbers) as ArrayRef),
        ("pid", Arc::new(pids) as ArrayRef),
        ("kind", Arc::new(kinds) as ArrayRef),
        ("value", Arc::new(values) as ArrayRef),
    ])
    .unwrap()
}

/// One visit of each person, by the numbers of the common data model: person 7 has number 1007, and so on.
fn visit_occurrence() -> RecordBatch {
    let ints = |f: &dyn Fn(i64) -> Option<i64>| -> ArrayRef {
        Arc::new((1..=400).map(f).collect::<Int64Array>())
    };
    RecordBatch::try_from_iter([
        ("pid", ints(&Some)),
        ("visit_occurrence_id", ints(&|pid| Some(1000 + pid))),
        (
            "preceding_visit_occurrence_id",
            ints(&|pid| (pid % 3 == 0).then_some(900 + pid)),
        ),
        ("visit_concept_id", ints(&|pid| Some(9201 + pid % 3))),
    ])
    .unwrap()
}

/// The same visits in a table of the hospital's own, by the same numbers.
fn stay() -> RecordBatch {
    let ints = |f: &dyn Fn(i64) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values((1..=400).map(f)))
    };
    RecordBatch::try_from_iter([
        ("pid", ints(&|pid| pid)),
        ("visit_occurrence_id", ints(&|pid| 1000 + pid)),
        ("ward", ints(&|pid| pid % 4)),
    ])
    .unwrap()
}

/// Two bills of each laboratory value; they name no person.
fn bill() -> RecordBatch {
    let bills = || 1..=2_400_i64;
    let of = Int64Array::from_iter_values(bills().map(|bill| 1 + (bill - 1) / 2));
    let amounts = Float64Array::from_iter_values(bills().map(|bill| 20.0 + (bill % 13) as f64));
    RecordBatch::try_from_iter([
        (
            "bill_id",
            Arc::new(Int64Array::from_iter_values(bills())) as ArrayRef,
        ),
        ("lab_id", Arc::new(of) as ArrayRef),
        ("amount", Arc::new(amounts) as ArrayRef),
    ])
    .unwrap()
}

pub(super) struct Desk {
    pub(super) ctx: SessionContext,
    pub(super) notes: Arc<Notes>,
    _folder: Option<tempfile::TempDir>,
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Desk")
    }
}

/// A session over the tables, before any protection.
pub(super) fn tables(emr: RecordBatch) -> SessionContext {
    let ctx = SessionContext::new_with_config(SessionConfig::new().with_information_schema(true));
    let add = |name: &str, batch: RecordBatch| {
        let table = MemTable::try_new(batch.schema(), vec![vec![batch]]).unwrap();
        ctx.register_table(name, Arc::new(table)).unwrap();
    };
    add("emr", emr);
    add("visit", visit());
    add("lab", lab());
    add("visit_occurrence", visit_occurrence());
    add("bill", bill());
    add("stay", stay());
    add("fee", stay().project(&[1, 2]).unwrap());
    add(
        "concept",
        RecordBatch::try_from_iter([
            (
                "concept_id",
                Arc::new(Int64Array::from_iter_values(0..5)) as ArrayRef,
            ),
            (
                "concept_name",
                Arc::new(StringArray::from_iter_values(
                    (0..5).map(|n| format!("concept {n}")),
                )) as ArrayRef,
            ),
        ])
        .unwrap(),
    );
    add(
        "place",
        RecordBatch::try_from_iter([
            (
                "place_id",
                Arc::new(Int64Array::from_iter_values(0..4)) as ArrayRef,
            ),
            (
                "city",
                Arc::new(StringArray::from_iter_values(
                    (0..4).map(|n| format!("city {n}")),
                )) as ArrayRef,
            ),
        ])
        .unwrap(),
    );
    add(
        "hidden",
        RecordBatch::try_from_iter([("x", Arc::new(Int64Array::from(vec![1])) as ArrayRef)])
            .unwrap(),
    );
    ctx
}

impl Desk {
    pub(super) fn new(rules: &str) -> Self {
        Self::over(rules, emr())
    }

    pub(super) fn over(rules: &str, emr: RecordBatch) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("releases.sqlite");
        let mut desk = Self::at(rules, emr, &path);
        desk._folder = Some(folder);
        desk
    }

    /// A desk whose record is at `path`.
    pub(super) fn at(rules: &str, emr: RecordBatch, path: &std::path::Path) -> Self {
        Self::of_snapshot("s", rules, emr, path)
    }

    /// The same over a snapshot of a store.
    pub(super) fn of_snapshot(
        snapshot: &str,
        rules: &str,
        emr: RecordBatch,
        path: &std::path::Path,
    ) -> Self {
        let notes = Arc::new(Notes::default());
        let controlled = Controlled {
            profile: profile(rules).unwrap(),
            reader: Reader {
                snapshot: snapshot.into(),
                principal: "ana".into(),
            },
            lens: Lens::default(),
            releases: Arc::new(Releases::open(path).unwrap()),
            declared: BTreeMap::new(),
            notes: Arc::clone(&notes),
            on_release: None,
        };
        let method = Method::Controlled(Arc::new(controlled));
        Self {
            ctx: protect(&tables(emr), Arc::new(Tables), method),
            notes,
            _folder: None,
        }
    }

    /// A desk with a budget, whose ledger is in `folder`.
    pub(super) fn with_budget(rules: Rules, emr: RecordBatch, folder: &std::path::Path) -> Self {
        let notes = Arc::new(Notes::default());
        let private = Private {
            rules,
            account: AccountKey {
                dataset: "d".into(),
                project: "p".into(),
                principal: "ana".into(),
            },
            snapshot: "s".into(),
            lens: Lens::default(),
            ledger: Arc::new(Ledger::open(&folder.join("ledger.sqlite")).unwrap()),
            notes: Arc::clone(&notes),
        };
        let method = Method::Private(Arc::new(private));
        Self {
            ctx: protect(&tables(emr), Arc::new(Tables), method),
            notes,
            _folder: None,
        }
    }

    pub(super) async fn try_ask(
        &self,
        sql: &str,
    ) -> Result<Vec<RecordBatch>, datafusion::error::DataFusionError> {
        self.ctx.sql(sql).await?.collect().await
    }

    /// The rows of an answer, each a line with values between bars.
    pub(super) async fn ask(&self, sql: &str) -> Vec<String> {
        let batches = self
            .try_ask(sql)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
        let text = pretty_format_batches(&batches).unwrap().to_string();
        text.lines()
            .filter(|line| line.starts_with('|'))
            .skip(1)
            .map(|line| {
                let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
                cells.join("|")
            })
            .collect()
    }

    /// The rule that refuses a query.
    pub(super) async fn refused(&self, sql: &str) -> &'static str {
        match self.try_ask(sql).await {
            Ok(batches) => panic!(
                "{sql} was answered:\n{}",
                pretty_format_batches(&batches).unwrap()
            ),
            Err(error) => {
                Refusal::within(&error)
                    .unwrap_or_else(|| panic!("{sql} failed, and was not refused: {error}"))
                    .code
            }
        }
    }
}
