//! The budget ledger: what differentially private answers have cost, kept so that nothing gives it back.
//!
//! Two phases. A charge is committed to disk before its query runs; the answer is stored, also durably, before
//! anybody sees it. A process that dies between the two has spent the budget and released nothing: asking the same
//! question again runs it on the charge already paid. Two processes that run the same question at once pay once and
//! answer alike: the first answer stored is everybody's.
//!
//! Accounts are keyed by data set (the hash of a store's first snapshot, which no renaming changes), project and
//! principal. SQLite in WAL mode with full synchronisation serialises processes; amounts are whole numbers of
//! 10⁻¹² ρ and 10⁻¹⁸ δ, costs rounded up and budgets down, so that no sum of costs drifts.

mod amount;
mod error;
mod inspect;
mod schema;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use crate::dp::accounting::Cost;

use amount::Amount;
pub use error::Error;
pub use inspect::{AccountState, ChargeState};
pub(crate) use schema::database;

/// Whose budget it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountKey {
    /// The data set: a name that stays when a store is moved, copied or registered anew.
    pub dataset: String,
    /// The project.
    pub project: String,
    /// The principal.
    pub principal: String,
}

/// Which question, on which bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The snapshot's hash.
    pub snapshot: String,
    /// What is asked, normalised: the same for the same question.
    pub fingerprint: String,
}

/// A charge that was paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChargeId(i64);

/// What became of a charge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Charge {
    /// Paid now: run the query, then [`Ledger::answer`].
    Paid(ChargeId),
    /// Paid by an earlier run that never answered: run the query, it costs nothing more.
    PaidBefore(ChargeId),
    /// Answered before: this is the answer, and it costs nothing.
    Answered(Vec<u8>),
}

/// The ledger of a store.
#[derive(Debug)]
pub struct Ledger {
    connection: Mutex<Connection>,
}

impl Ledger {
    /// Opens the ledger at `path`, and makes it if there is none, readable by its owner alone.
    ///
    /// # Errors
    ///
    /// When the file can't be made or is not a ledger.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Ok(Self {
            connection: Mutex::new(schema::open(path)?),
        })
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        // A panic elsewhere leaves no transaction open: they roll back when dropped.
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn write<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut connection = self.connection();
        // Immediate: what is read here stays true until the commit, whatever other processes do.
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let outcome = work(&transaction)?;
        transaction.commit()?;
        Ok(outcome)
    }

    /// Charges `cost` for a question, durably, or finds that it was charged or answered before.
    ///
    /// `allowance` is what the policy gives the account; grants come on top.
    ///
    /// # Errors
    ///
    /// When the budget does not suffice, the account is frozen, or the ledger can't be written.
    pub fn charge(
        &self,
        account: &AccountKey,
        allowance: Cost,
        question: &Question,
        cost: Cost,
    ) -> Result<Charge, Error> {
        let price = Amount::cost(cost)?;
        let allowance = Amount::budget(allowance)?;
        self.write(|transaction| {
            let id = schema::account(transaction, account, allowance)?;
            let state = schema::balance(transaction, id)?;
            if state.frozen {
                return Err(Error::Frozen);
            }
            let earlier: Option<(i64, Option<Vec<u8>>)> = transaction
                .query_row(
                    "SELECT id, answer FROM charge WHERE account = ?1 AND snapshot = ?2 AND fingerprint = ?3",
                    params![id, question.snapshot, question.fingerprint],
                    |row| Ok((row.get(0)?, row.get(1)?)),
                )
                .optional()?;
            match earlier {
                Some((_, Some(answer))) => return Ok(Charge::Answered(answer)),
                Some((charge, None)) => return Ok(Charge::PaidBefore(ChargeId(charge))),
                None => {}
            }
            let left = state.left();
            if !left.covers(price) {
                return Err(Error::Exhausted {
                    asked: price.as_cost(),
                    left: left.as_cost(),
                });
            }
            transaction.execute(
                "INSERT INTO charge (account, snapshot, fingerprint, rho, delta, time) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![id, question.snapshot, question.fingerprint, price.rho, price.delta, schema::now()],
            )?;
            Ok(Charge::Paid(ChargeId(transaction.last_insert_rowid())))
        })
    }

    /// Stores the answer of a charge, durably, and returns the one to release: the first that was stored.
    ///
    /// # Errors
    ///
    /// When the ledger can't be written, the charge is not in it, or the account was frozen meanwhile: then nothing may be
    /// released.
    pub fn answer(&self, charge: ChargeId, answer: &[u8]) -> Result<Vec<u8>, Error> {
        self.write(|transaction| {
            // Frozen while the query ran: what was charged stays charged, and nothing is told from then on.
            let account: Option<i64> = transaction
                .query_row(
                    "SELECT account FROM charge WHERE id = ?1",
                    params![charge.0],
                    |row| row.get(0),
                )
                .optional()?;
            if schema::balance(transaction, account.ok_or(Error::UnknownCharge)?)?.frozen {
                return Err(Error::Frozen);
            }
            transaction.execute(
                "UPDATE charge SET answer = ?2 WHERE id = ?1 AND answer IS NULL",
                params![charge.0, answer],
            )?;
            let stored: Option<Option<Vec<u8>>> = transaction
                .query_row(
                    "SELECT answer FROM charge WHERE id = ?1",
                    params![charge.0],
                    |row| row.get(0),
                )
                .optional()?;
            stored.flatten().ok_or(Error::UnknownCharge)
        })
    }

    /// Gives an account more than its policy does.
    ///
    /// # Errors
    ///
    /// When the amount is not positive, or the ledger can't be written.
    pub fn grant(&self, account: &AccountKey, more: Cost) -> Result<(), Error> {
        let more = Amount::budget(more)?;
        self.write(|transaction| {
            let id = schema::account_or_new(transaction, account)?;
            transaction.execute(
                "UPDATE account SET granted_rho = granted_rho + ?2, granted_delta = granted_delta + ?3 WHERE id = ?1",
                params![id, more.rho, more.delta],
            )?;
            Ok(())
        })
    }

    /// Stops an account from asking, or lets it ask again.
    ///
    /// # Errors
    ///
    /// When the ledger can't be written.
    pub fn freeze(&self, account: &AccountKey, frozen: bool) -> Result<(), Error> {
        self.write(|transaction| {
            let id = schema::account_or_new(transaction, account)?;
            transaction.execute(
                "UPDATE account SET frozen = ?2 WHERE id = ?1",
                params![id, frozen],
            )?;
            Ok(())
        })
    }
}
