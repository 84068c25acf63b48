//! What `columna privacy ledger show` shows.

use rusqlite::{OptionalExtension, params};

use crate::dp::accounting::Cost;

use super::amount::Amount;
use super::{AccountKey, Error, Ledger, schema};

/// An account and what is left of it.
#[derive(Debug, Clone, PartialEq)]
pub struct AccountState {
    /// Whose.
    pub key: AccountKey,
    /// What the policy gives.
    pub allowed: Cost,
    /// What was granted on top.
    pub granted: Cost,
    /// What was spent.
    pub spent: Cost,
    /// What is left.
    pub left: Cost,
    /// Whether it was stopped.
    pub frozen: bool,
    /// Its charges, oldest first.
    pub charges: Vec<ChargeState>,
}

/// A charge, without its answer.
#[derive(Debug, Clone, PartialEq)]
pub struct ChargeState {
    /// When, RFC 3339.
    pub time: String,
    /// The snapshot's hash.
    pub snapshot: String,
    /// The question's fingerprint.
    pub fingerprint: String,
    /// What it cost.
    pub cost: Cost,
    /// Whether an answer was stored; if not, the run died or is under way.
    pub answered: bool,
}

impl Ledger {
    /// All accounts, in order.
    ///
    /// # Errors
    ///
    /// When the ledger can't be read.
    pub fn accounts(&self) -> Result<Vec<AccountState>, Error> {
        let connection = self.connection();
        let mut statement = connection.prepare(
            "SELECT id, dataset, project, principal FROM account ORDER BY dataset, project, principal",
        )?;
        let keys = statement
            .query_map([], |row| {
                let key = AccountKey {
                    dataset: row.get(1)?,
                    project: row.get(2)?,
                    principal: row.get(3)?,
                };
                Ok((row.get::<_, i64>(0)?, key))
            })?
            .collect::<Result<Vec<_>, _>>()?;
        keys.into_iter()
            .map(|(id, key)| {
                let balance = schema::balance(&connection, id)?;
                Ok(state(key, balance, charges(&connection, id)?))
            })
            .collect()
    }
}

impl Ledger {
    /// One account, if there is any, without its charges.
    ///
    /// # Errors
    ///
    /// When the ledger can't be read.
    pub fn account(&self, key: &AccountKey) -> Result<Option<AccountState>, Error> {
        let connection = self.connection();
        let found: Option<i64> = connection
            .query_row(
                "SELECT id FROM account WHERE dataset = ?1 AND project = ?2 AND principal = ?3",
                params![key.dataset, key.project, key.principal],
                |row| row.get(0),
            )
            .optional()?;
        let Some(id) = found else {
            return Ok(None);
        };
        let balance = schema::balance(&connection, id)?;
        Ok(Some(state(key.clone(), balance, Vec::new())))
    }
}

fn state(key: AccountKey, balance: schema::Balance, charges: Vec<ChargeState>) -> AccountState {
    AccountState {
        key,
        allowed: balance.allowed.as_cost(),
        granted: balance.granted.as_cost(),
        spent: balance.spent.as_cost(),
        left: balance.left().as_cost(),
        frozen: balance.frozen,
        charges,
    }
}

fn charges(connection: &rusqlite::Connection, account: i64) -> Result<Vec<ChargeState>, Error> {
    let mut statement = connection.prepare(
        "SELECT time, snapshot, fingerprint, rho, delta, answer IS NOT NULL FROM charge WHERE account = ?1 ORDER BY id",
    )?;
    let charges = statement.query_map([account], |row| {
        let price = Amount {
            rho: row.get(3)?,
            delta: row.get(4)?,
        };
        Ok(ChargeState {
            time: row.get(0)?,
            snapshot: row.get(1)?,
            fingerprint: row.get(2)?,
            cost: price.as_cost(),
            answered: row.get(5)?,
        })
    })?;
    Ok(charges.collect::<Result<Vec<_>, _>>()?)
}
