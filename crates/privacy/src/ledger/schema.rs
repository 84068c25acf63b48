//! The ledger's tables.

use std::fs::{self, OpenOptions};
use std::path::Path;
use std::time::{Duration, Instant};

use chrono::{SecondsFormat, Utc};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::amount::Amount;
use super::{AccountKey, Error};

/// The format that this version writes.
const FORMAT: i64 = 1;

/// How long a process waits for another one's write.
const PATIENCE: Duration = Duration::from_secs(60);

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS account (
  id INTEGER PRIMARY KEY,
  dataset TEXT NOT NULL, project TEXT NOT NULL, principal TEXT NOT NULL,
  allowed_rho INTEGER NOT NULL DEFAULT 0, allowed_delta INTEGER NOT NULL DEFAULT 0,
  granted_rho INTEGER NOT NULL DEFAULT 0, granted_delta INTEGER NOT NULL DEFAULT 0,
  frozen INTEGER NOT NULL DEFAULT 0,
  UNIQUE (dataset, project, principal)
);
CREATE TABLE IF NOT EXISTS charge (
  id INTEGER PRIMARY KEY,
  account INTEGER NOT NULL REFERENCES account (id),
  snapshot TEXT NOT NULL, fingerprint TEXT NOT NULL,
  rho INTEGER NOT NULL, delta INTEGER NOT NULL,
  time TEXT NOT NULL,
  answer BLOB,
  UNIQUE (account, snapshot, fingerprint)
);";

pub(super) fn open(path: &Path) -> Result<Connection, Error> {
    let ledger = database(path, TABLES)?;
    // A ledger is small: what a damaged page says of a budget is not taken for true.
    let found: String = ledger.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if found != "ok" {
        return Err(Error::Damaged {
            path: path.to_path_buf(),
        });
    }
    Ok(ledger)
}

/// Refuses a file that ends within a page: SQLite would take the rest of it for zeros. While there is a write-ahead log, a
/// checkpoint may be under way or be made up for.
fn whole_pages(path: &Path) -> Result<(), Error> {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let length = |path: &Path| fs::metadata(path).map_or(0, |found| found.len());
    // No page is smaller.
    if length(path) % 512 != 0 && length(Path::new(&log)) == 0 {
        return Err(Error::Damaged {
            path: path.to_path_buf(),
        });
    }
    Ok(())
}

/// Opens a private database that survives crashes, and makes it with `tables` if there is none.
pub(crate) fn database(path: &Path, tables: &str) -> Result<Connection, Error> {
    private_file(path).map_err(|source| Error::Io {
        path: path.to_path_buf(),
        source,
    })?;
    let begun = path.with_extension("begun");
    // SQLite's own patience does not cover the change to WAL, which many processes may want at once.
    let started = Instant::now();
    loop {
        match prepared(path, &begun, tables) {
            Err(Error::Sqlite(error)) if is_busy(&error) && started.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(5));
            }
            outcome => return outcome,
        }
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked};
    matches!(
        error.sqlite_error_code(),
        Some(DatabaseBusy | DatabaseLocked)
    )
}

fn prepared(path: &Path, begun: &Path, tables: &str) -> Result<Connection, Error> {
    whole_pages(path)?;
    let mut connection = Connection::open(path)?;
    connection.busy_timeout(PATIENCE)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // Without this a commit may be lost with the power, and budget with it be given back.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    let version = |connection: &Connection| -> Result<i64, Error> {
        Ok(connection.pragma_query_value(None, "user_version", |row| row.get(0))?)
    };
    if version(&connection)? < FORMAT {
        // One process makes the tables, the others wait and find them.
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if version(&transaction)? < FORMAT {
            if begun.exists() {
                return Err(Error::Lost {
                    path: path.to_path_buf(),
                    begun: begun.to_path_buf(),
                });
            }
            transaction.execute_batch(tables)?;
            transaction.pragma_update(None, "user_version", FORMAT)?;
        }
        transaction.commit()?;
    }
    if !begun.exists() {
        // From here on an empty file is one that lost what was in it.
        private_file(begun).map_err(|source| Error::Io {
            path: begun.to_path_buf(),
            source,
        })?;
    }
    let found = version(&connection)?;
    if found > FORMAT {
        return Err(Error::Newer { found });
    }
    Ok(connection)
}

/// Makes the file for its owner alone; SQLite gives its side files the same permissions.
fn private_file(path: &Path) -> std::io::Result<()> {
    if let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        fs::create_dir_all(folder)?;
    }
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.sync_all()
}

pub(super) fn now() -> String {
    Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// What an account may spend and has spent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Balance {
    pub(super) allowed: Amount,
    pub(super) granted: Amount,
    pub(super) spent: Amount,
    pub(super) frozen: bool,
}

impl Balance {
    pub(super) fn left(self) -> Amount {
        self.allowed.plus(self.granted).minus(self.spent)
    }
}

/// The account's number, with the policy's allowance brought up to date.
pub(super) fn account(
    transaction: &Transaction<'_>,
    key: &AccountKey,
    allowance: Amount,
) -> Result<i64, Error> {
    let id = account_or_new(transaction, key)?;
    transaction.execute(
        "UPDATE account SET allowed_rho = ?2, allowed_delta = ?3 WHERE id = ?1",
        params![id, allowance.rho, allowance.delta],
    )?;
    Ok(id)
}

pub(super) fn account_or_new(
    transaction: &Transaction<'_>,
    key: &AccountKey,
) -> Result<i64, Error> {
    let found = transaction
        .query_row(
            "SELECT id FROM account WHERE dataset = ?1 AND project = ?2 AND principal = ?3",
            params![key.dataset, key.project, key.principal],
            |row| row.get(0),
        )
        .optional()?;
    if let Some(id) = found {
        return Ok(id);
    }
    transaction.execute(
        "INSERT INTO account (dataset, project, principal) VALUES (?1, ?2, ?3)",
        params![key.dataset, key.project, key.principal],
    )?;
    Ok(transaction.last_insert_rowid())
}

pub(super) fn balance(connection: &Connection, account: i64) -> Result<Balance, Error> {
    let amount = |row: &rusqlite::Row<'_>, at: usize| -> rusqlite::Result<Amount> {
        Ok(Amount {
            rho: row.get(at)?,
            delta: row.get(at + 1)?,
        })
    };
    Ok(connection.query_row(
        "SELECT allowed_rho, allowed_delta, granted_rho, granted_delta,
                coalesce((SELECT sum(rho) FROM charge WHERE account = a.id), 0),
                coalesce((SELECT sum(delta) FROM charge WHERE account = a.id), 0), frozen
         FROM account a WHERE id = ?1",
        [account],
        |row| {
            Ok(Balance {
                allowed: amount(row, 0)?,
                granted: amount(row, 2)?,
                spent: amount(row, 4)?,
                frozen: row.get(6)?,
            })
        },
    )?)
}
