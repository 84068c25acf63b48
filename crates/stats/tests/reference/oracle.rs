//! Reads the oracle and keeps the books: every quantity in it is compared, or listed as not covered.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde_json::Value;

use crate::book::{self, Outcome};

/// One expected file, and which of its leaves have been compared.
pub(crate) struct Oracle {
    name: &'static str,
    root: Value,
    seen: RefCell<BTreeSet<String>>,
    failures: RefCell<Vec<String>>,
    /// The largest relative difference of each leaf that was compared.
    largest: RefCell<BTreeMap<String, f64>>,
}

/// The oracle's folder; `None` means that the test is skipped.
pub(crate) fn folder() -> Option<PathBuf> {
    let shared = std::env::var_os("COLUMNA_SHARED")
        .map_or_else(|| PathBuf::from("../../../shared"), PathBuf::from);
    let folder = shared.join("oracle/stats");
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(
        std::env::var("CI").as_deref() != Ok("true"),
        "../shared/oracle/stats must be there when CI=true"
    );
    println!("skipped: ../shared not found");
    None
}

/// A data set by column; an empty cell is NaN.
pub(crate) struct Data {
    columns: BTreeMap<String, Vec<String>>,
}

impl Data {
    pub(crate) fn load(name: &str) -> Self {
        let text =
            std::fs::read_to_string(folder().unwrap().join(format!("data/{name}.csv"))).unwrap();
        let mut lines = text
            .lines()
            .map(|line| line.split(',').map(|cell| cell.trim_matches('"')));
        let names: Vec<_> = lines.next().unwrap().map(str::to_owned).collect();
        let mut columns: Vec<Vec<String>> = vec![Vec::new(); names.len()];
        for line in lines {
            for (column, cell) in columns.iter_mut().zip(line) {
                column.push(cell.to_owned());
            }
        }
        Self {
            columns: names.into_iter().zip(columns).collect(),
        }
    }

    pub(crate) fn text(&self, name: &str) -> &[String] {
        self.columns
            .get(name)
            .unwrap_or_else(|| panic!("no column {name}"))
    }

    pub(crate) fn numbers(&self, name: &str) -> Vec<f64> {
        self.text(name)
            .iter()
            .map(|cell| cell.parse().unwrap_or(f64::NAN))
            .collect()
    }
}

impl Oracle {
    pub(crate) fn load(name: &'static str) -> Self {
        let text = std::fs::read_to_string(folder().unwrap().join(format!("expected/{name}.json")))
            .unwrap();
        Self {
            name,
            root: without_slashes(serde_json::from_str(&text).unwrap()),
            seen: RefCell::default(),
            failures: RefCell::default(),
            largest: RefCell::default(),
        }
    }

    pub(crate) fn get(&self, path: &str) -> Option<&Value> {
        path.split('/')
            .filter(|key| !key.is_empty())
            .try_fold(&self.root, |value, key| match value {
                Value::Object(map) => map.get(key),
                Value::Array(list) => list.get(key.parse::<usize>().ok()?),
                _ => None,
            })
    }

    pub(crate) fn has(&self, path: &str) -> bool {
        self.get(path).is_some()
    }

    pub(crate) fn keys(&self, path: &str) -> Vec<String> {
        match self.get(path) {
            Some(Value::Object(map)) => map.keys().cloned().collect(),
            Some(Value::Array(list)) => (0..list.len()).map(|index| index.to_string()).collect(),
            _ => panic!("{}: no keys at {path}", self.name),
        }
    }

    /// All numbers under `path`, marked as seen.
    pub(crate) fn numbers(&self, path: &str) -> Vec<f64> {
        let mut numbers = Vec::new();
        let value = self
            .get(path)
            .unwrap_or_else(|| panic!("{}: nothing at {path}", self.name));
        flatten(value, &mut numbers);
        self.mark(path);
        numbers
    }

    pub(crate) fn strings(&self, path: &str) -> Vec<String> {
        self.mark(path);
        match self.get(path) {
            Some(Value::Array(list)) => list
                .iter()
                .map(|item| item.as_str().unwrap().to_owned())
                .collect(),
            Some(Value::String(text)) => vec![text.clone()],
            _ => panic!("{}: no strings at {path}", self.name),
        }
    }

    /// Counts everything under `path` as seen: inputs, names and notes.
    pub(crate) fn mark(&self, path: &str) {
        let mut leaves = Vec::new();
        let value = self
            .get(path)
            .unwrap_or_else(|| panic!("{}: nothing at {path}", self.name));
        collect_leaves(path, value, &mut leaves);
        self.seen.borrow_mut().extend(leaves);
    }

    /// Compares with what R has, relative to `tolerance`.
    pub(crate) fn compare(&self, path: &str, found: &[f64], tolerance: f64) {
        let expected = self.numbers(path);
        self.compare_with(path, found, &expected, tolerance);
    }

    /// Compares with an expectation that a convention of the oracle's README changed.
    pub(crate) fn compare_with(&self, path: &str, found: &[f64], expected: &[f64], tolerance: f64) {
        self.mark(path);
        if expected.len() != found.len() {
            self.fail(format!(
                "{path}: {} values, expected {}",
                found.len(),
                expected.len()
            ));
            return;
        }
        self.largest
            .borrow_mut()
            .entry(path.to_owned())
            .or_insert(0.0);
        for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
            if found.is_nan() && expected.is_nan() || found == expected {
                continue;
            }
            // Relative, but for numbers that are 0 up to the rounding of numbers near 1.
            let difference = (found - expected).abs() / expected.abs().max(1e-6);
            if difference.is_nan() || difference > tolerance {
                self.fail(format!(
                    "{path}[{index}]: {found:e}, expected {expected:e} ({difference:.1e})"
                ));
                break;
            }
            let mut largest = self.largest.borrow_mut();
            let known = largest.entry(path.to_owned()).or_insert(0.0);
            *known = known.max(difference);
        }
    }

    pub(crate) fn fail(&self, message: String) {
        self.failures.borrow_mut().push(message);
    }

    /// Fails on differences, on quantities that were neither compared nor listed, and on listed ones that were.
    pub(crate) fn finish(self, not_covered: &[&str]) {
        let mut leaves = Vec::new();
        collect_leaves("", &self.root, &mut leaves);
        let seen = self.seen.into_inner();
        let (mut failures, mut skipped) = (self.failures.into_inner(), 0);
        for leaf in &leaves {
            let listed = not_covered.iter().any(|prefix| leaf.starts_with(prefix));
            match (seen.contains(leaf), listed) {
                (false, false) => {
                    failures.push(format!("{leaf}: in the oracle, compared by nothing"))
                }
                (false, true) => skipped += 1,
                (true, _) => {}
            }
        }
        for prefix in not_covered {
            println!("{}: not covered: {prefix}", self.name);
            if leaves
                .iter()
                .filter(|leaf| leaf.starts_with(prefix))
                .all(|leaf| seen.contains(leaf))
            {
                failures.push(format!(
                    "{prefix}: listed as not covered, but there is nothing left of it"
                ));
            }
        }
        println!(
            "{}: {} of {} quantities compared",
            self.name,
            leaves.len() - skipped,
            leaves.len()
        );
        let largest = self.largest.into_inner();
        let outcomes: Vec<(String, Outcome)> = leaves
            .iter()
            .map(|leaf| {
                let compared = largest
                    .iter()
                    .filter(|(path, _)| {
                        leaf.starts_with(path.as_str())
                            && [None, Some(b'/')]
                                .contains(&leaf.as_bytes().get(path.len()).copied())
                    })
                    .map(|(_, difference)| *difference)
                    .reduce(f64::max);
                let outcome = match compared {
                    Some(difference) => Outcome::Compared(difference),
                    None if seen.contains(leaf) => Outcome::Read,
                    None => Outcome::NotCovered,
                };
                (leaf.clone(), outcome)
            })
            .filter(|(leaf, _)| !leaf.starts_with("_meta"))
            .collect();
        let shown = failures
            .iter()
            .take(40)
            .cloned()
            .collect::<Vec<_>>()
            .join("\n  ");
        assert!(
            failures.is_empty(),
            "{}: {} failures:\n  {shown}",
            self.name,
            failures.len()
        );
        book::check(self.name, &outcomes);
    }
}

/// Slashes separate the keys of a path: those in a key become bars.
fn without_slashes(value: Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(
            map.into_iter()
                .map(|(key, value)| (key.replace('/', "|"), without_slashes(value)))
                .collect(),
        ),
        Value::Array(list) => Value::Array(list.into_iter().map(without_slashes).collect()),
        other => other,
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => match text.as_str() {
            "NA" | "NaN" => Some(f64::NAN),
            "Inf" => Some(f64::INFINITY),
            "-Inf" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        Value::Bool(flag) => Some(f64::from(u8::from(*flag))),
        _ => None,
    }
}

fn flatten(value: &Value, numbers: &mut Vec<f64>) {
    match value {
        Value::Array(list) => list.iter().for_each(|item| flatten(item, numbers)),
        _ => numbers.push(number(value).unwrap_or_else(|| panic!("not a number: {value}"))),
    }
}

/// A leaf is a scalar, or an array (of arrays) of scalars.
fn collect_leaves(path: &str, value: &Value, leaves: &mut Vec<String>) {
    let join = |key: &str| {
        if path.is_empty() {
            key.to_owned()
        } else {
            format!("{path}/{key}")
        }
    };
    match value {
        Value::Object(map) => map
            .iter()
            .for_each(|(key, value)| collect_leaves(&join(key), value, leaves)),
        Value::Array(list) if list.iter().any(Value::is_object) => {
            list.iter().enumerate().for_each(|(index, value)| {
                collect_leaves(&join(&index.to_string()), value, leaves)
            });
        }
        _ => leaves.push(path.to_owned()),
    }
}
