//! What a store's rows were pseudonymised with: rows that were treated otherwise must not come beside them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What became of the rows of all deliveries before they were stored. It tells nothing of a key or a value.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pseudonymised {
    /// Tells keys apart, and nothing of them; none where no column needed a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// How dates are moved under that key, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dates: Option<String>,
    /// The highest age that shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ages_over: Option<u16>,
    /// The day on which ages are reckoned, `YYYY-MM-DD`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ages_on: Option<String>,
    /// What became of each column of each table that was delivered.
    pub tables: BTreeMap<String, BTreeMap<String, String>>,
}

impl Pseudonymised {
    /// Both together.
    ///
    /// # Errors
    /// How a later delivery would be treated otherwise than the earlier ones.
    pub fn and(&self, later: &Self) -> Result<Self, String> {
        // Without a key nothing was made that depends on one.
        if let (Some(before), Some(now)) = (&self.key, &later.key) {
            if before != now {
                return Err(
                    "its pseudonyms were made with another key, or another version of it"
                        .to_owned(),
                );
            }
            if let (Some(before), Some(now)) = (&self.dates, &later.dates)
                && before != now
            {
                return Err(format!(
                    "its dates were moved {before}, and would now be moved {now}"
                ));
            }
        }
        if self.ages_over != later.ages_over {
            return Err("its `[ages]` had another `over`".to_owned());
        }
        // Raised with the data, the day groups more of the old; lowered, it would show some of them.
        if self.ages_on > later.ages_on {
            let before = self.ages_on.as_deref().unwrap_or_default();
            return Err(format!("its `[ages]` were on {before}, and not before"));
        }
        let mut tables = self.tables.clone();
        for (table, columns) in &later.tables {
            let known = tables.entry(table.clone()).or_default();
            for (column, rule) in columns {
                let before = known.entry(column.clone()).or_insert_with(|| rule.clone());
                if before != rule {
                    return Err(format!(
                        "`{table}.{column}` was stored `{before}`, and would now be `{rule}`"
                    ));
                }
            }
        }
        Ok(Self {
            key: later.key.clone().or_else(|| self.key.clone()),
            dates: later.dates.clone().or_else(|| self.dates.clone()),
            ages_over: later.ages_over,
            ages_on: later.ages_on.clone(),
            tables,
        })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn made(key: Option<&str>, dates: &str, on: &str, rules: &[(&str, &str)]) -> Pseudonymised {
        let columns = rules.iter().map(|(c, r)| ((*c).into(), (*r).into()));
        Pseudonymised {
            key: key.map(str::to_owned),
            dates: key.map(|_| dates.to_owned()),
            ages_over: Some(89),
            ages_on: Some(on.to_owned()),
            tables: BTreeMap::from([("person".to_owned(), columns.collect())]),
        }
    }

    #[test]
    fn only_rows_treated_alike_come_together() {
        let first = made(Some("a"), "365", "2026-12-31", &[("person_id", "raw")]);
        let more = [("person_id", "raw"), ("zip", "absent")];
        let both = first.and(&made(None, "", "2027-12-31", &more)).unwrap();
        assert_eq!(both.key.as_deref(), Some("a"));
        assert_eq!(both.tables["person"].len(), 2);
        let shown = [("zip", "raw")];
        for (other, says) in [
            (made(Some("b"), "365", "2027-12-31", &[]), "another key"),
            (
                made(Some("a"), "182", "2027-12-31", &[]),
                "dates were moved",
            ),
            (made(Some("a"), "365", "2026-12-31", &[]), "on 2027-12-31"),
            (made(Some("a"), "365", "2027-12-31", &shown), "person.zip"),
        ] {
            let said = both.and(&other).unwrap_err();
            assert!(said.contains(says), "{said}");
        }
        let mut ageless = made(Some("a"), "365", "2027-12-31", &[]);
        ageless.ages_over = None;
        assert!(both.and(&ageless).unwrap_err().contains("over"));
    }
}
