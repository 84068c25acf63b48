//! What is decided about persons, once for nearly the same ones.
//!
//! Where a number is shown, such as the time at which a step of a curve ends, can hang on one person as the number itself can. So what
//! was decided about some persons is decided about nearly the same ones too, whoever of them it would change it for.

use roaring::RoaringTreemap;
use rusqlite::{Transaction, TransactionBehavior, params};

use super::Error;
use super::persons::{Contribution, footprint, persons_between};
use super::releases::{Reader, Releases, decoded};

/// The decisions of a principal.
pub(crate) struct Decisions<'a> {
    transaction: &'a Transaction<'a>,
    reader: &'a Reader,
    k: u64,
    /// What is decided now, and known to nobody before all of it is.
    new: Vec<(String, RoaringTreemap, i64)>,
}

impl Releases {
    /// Decides about persons; all of it is kept, or nothing. What is decided together is decided beside what was before: whom one
    /// decision is about may be nearly those of the next.
    pub(crate) fn decide<T>(
        &self,
        (reader, k): (&Reader, u64),
        of: impl FnOnce(&mut Decisions<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut connection = self.locked();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut decisions = Decisions::within(&transaction, reader, k);
        let decided = of(&mut decisions)?;
        decisions.keep()?;
        transaction.commit()?;
        Ok(decided)
    }
}

impl<'a> Decisions<'a> {
    /// In a transaction that others begin and end.
    pub(super) fn within(transaction: &'a Transaction<'a>, reader: &'a Reader, k: u64) -> Self {
        Self {
            transaction,
            reader,
            k,
            new: Vec::new(),
        }
    }
}

impl Decisions<'_> {
    /// What was decided about two groups of whom fewer than k tell these apart, as somebody in the other one does, the first; `own`
    /// where there are none. Persons are in order.
    pub(crate) fn once(
        &mut self,
        about: &str,
        groups: [&[i64]; 2],
        own: i64,
    ) -> Result<i64, Error> {
        self.of(about, print_of(groups), own)
    }

    /// The same of persons with numbers of their own.
    pub(super) fn of(
        &mut self,
        about: &str,
        print: RoaringTreemap,
        own: i64,
    ) -> Result<i64, Error> {
        if let Some(decision) = self.near(about, &print)? {
            return Ok(decision);
        }
        self.new.push((about.to_owned(), print, own));
        Ok(own)
    }

    /// The same, where something was decided.
    pub(crate) fn before(&self, about: &str, groups: [&[i64]; 2]) -> Result<Option<i64>, Error> {
        self.near(about, &print_of(groups))
    }

    fn near(&self, about: &str, print: &RoaringTreemap) -> Result<Option<i64>, Error> {
        let size = i64::try_from(print.len()).unwrap_or(i64::MAX);
        let few = i64::try_from(self.k).unwrap_or(i64::MAX);
        let (from, to) = self.reader.of_store();
        let principal = &self.reader.principal;
        let mut statement = self.transaction.prepare_cached(
            "SELECT footprint, decision FROM decision
             WHERE snapshot >= ?1 AND snapshot < ?2 AND principal = ?3 AND about = ?4 AND elements BETWEEN ?5 AND ?6 ORDER BY id",
        )?;
        let (least, most) = (size.saturating_sub(few), size.saturating_add(few));
        let mut rows = statement.query(params![from, to, principal, about, least, most])?;
        // The first: which of several is nearer, one person could decide.
        while let Some(row) = rows.next()? {
            let other = decoded(&row.get::<_, Vec<u8>>(0)?)?;
            if persons_between(print, &other) < self.k {
                return Ok(Some(row.get(1)?));
            }
        }
        Ok(None)
    }

    pub(super) fn keep(&self) -> Result<(), Error> {
        for (about, print, own) in &self.new {
            let mut bytes = Vec::new();
            print
                .serialize_into(&mut bytes)
                .map_err(|_| Error::Damaged)?;
            let size = i64::try_from(print.len()).unwrap_or(i64::MAX);
            self.transaction.execute(
                "INSERT INTO decision (snapshot, principal, about, elements, footprint, decision) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![self.reader.snapshot, self.reader.principal, about, size, bytes, own],
            )?;
        }
        Ok(())
    }
}

/// The persons of two groups: which of them it is stands in the place of rows.
fn print_of(groups: [&[i64]; 2]) -> RoaringTreemap {
    let of = groups.into_iter().zip(1..).flat_map(|(persons, group)| {
        persons.iter().map(move |person| Contribution {
            rows: group,
            ..Contribution::of(*person, 0.0)
        })
    });
    footprint(&of.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn nearly_the_same_persons_are_decided_about_once() {
        let folder = tempfile::tempdir().unwrap();
        let releases = Releases::open(&folder.path().join("releases.sqlite")).unwrap();
        let decide = |principal: &str, about: &str, persons: std::ops::Range<i64>, own: i64| {
            let reader = Reader {
                snapshot: "s".into(),
                principal: principal.into(),
            };
            let persons: Vec<i64> = persons.collect();
            let (first, second) = persons.split_at(persons.partition_point(|at| *at < 30));
            let groups = [first, second];
            let found = releases.decide((&reader, 10), |of| of.once(about, groups, own));
            found.unwrap()
        };
        assert_eq!(decide("ana", "a", 0..50, 1), 1);
        // One more, some less, and as many others.
        for persons in [0..51, 4..50, 4..55, 0..59] {
            assert_eq!(decide("ana", "a", persons, 2), 1);
        }
        // Others, of something else, and of somebody else.
        assert_eq!(decide("ana", "a", 0..60, 3), 3);
        assert_eq!(decide("ana", "b", 0..50, 4), 4);
        assert_eq!(decide("ben", "a", 0..50, 5), 5);
        // Of several the first, however near another one is.
        assert_eq!(decide("ana", "a", 0..59, 6), 1);
        assert_eq!(decide("ana", "a", 0..61, 6), 3);
    }

    /// What was decided about persons in other groups is nothing that was decided about these.
    #[test]
    fn persons_who_are_grouped_otherwise_are_decided_about_anew() {
        let folder = tempfile::tempdir().unwrap();
        let releases = Releases::open(&folder.path().join("releases.sqlite")).unwrap();
        let reader = Reader {
            snapshot: "s".into(),
            principal: "ana".into(),
        };
        let persons: Vec<i64> = (0..50).collect();
        for (first, own, found) in [
            (0, 1, 1),
            (30, 2, 2),
            (25, 3, 2),
            (39, 3, 2),
            (9, 3, 1),
            (10, 3, 3),
        ] {
            let (first, second) = persons.split_at(first);
            let decided = releases.decide((&reader, 10), |of| of.once("a", [first, second], own));
            assert_eq!(decided.unwrap(), found);
        }
    }
}
