-- Times are milliseconds since 1970 in UTC.

CREATE TABLE schedules (
  name       TEXT PRIMARY KEY,
  definition TEXT NOT NULL,
  created    INTEGER NOT NULL,
  paused     INTEGER NOT NULL DEFAULT 0,
  -- Times up to here have been dealt with.
  cursor     INTEGER NOT NULL,
  -- The newest snapshot that has been dealt with: its version and hash.
  snapshot   TEXT,
  -- Ends of other schedules' runs up to here have been dealt with.
  followed   INTEGER NOT NULL
) STRICT;

CREATE TABLE runs (
  run        INTEGER PRIMARY KEY AUTOINCREMENT,
  schedule   TEXT NOT NULL,
  cause      TEXT NOT NULL,
  -- What it is for: the same thing never makes two runs.
  key        TEXT NOT NULL,
  definition TEXT NOT NULL,
  due        INTEGER NOT NULL,
  created    INTEGER NOT NULL,
  state      TEXT NOT NULL,
  reason     TEXT,
  snapshot   INTEGER,
  priority   INTEGER NOT NULL,
  not_before INTEGER NOT NULL,
  attempts   INTEGER NOT NULL DEFAULT 0,
  failures   INTEGER NOT NULL DEFAULT 0,
  losses     INTEGER NOT NULL DEFAULT 0,
  -- Who may write the end of the run: the holder of the newest fence.
  fence      INTEGER NOT NULL DEFAULT 0,
  lease      INTEGER,
  token      TEXT,
  claimant   TEXT,
  runner     TEXT,
  cancel     TEXT,
  started    INTEGER,
  ended      INTEGER,
  -- The order of ends.
  sequence   INTEGER,
  UNIQUE (schedule, key)
) STRICT;

CREATE INDEX runs_open ON runs (state) WHERE state IN ('waiting', 'running');
CREATE INDEX runs_by_schedule ON runs (schedule, due);

CREATE TABLE attempts (
  run       INTEGER NOT NULL REFERENCES runs (run),
  attempt   INTEGER NOT NULL,
  started   INTEGER NOT NULL,
  ended     INTEGER,
  outcome   TEXT,
  reason    TEXT,
  exit_code INTEGER,
  signal    INTEGER,
  memory    INTEGER,
  PRIMARY KEY (run, attempt)
) STRICT;

CREATE TABLE notices (
  notice     INTEGER PRIMARY KEY AUTOINCREMENT,
  run        INTEGER NOT NULL,
  kind       TEXT NOT NULL,
  target     TEXT NOT NULL,
  body       TEXT NOT NULL,
  state      TEXT NOT NULL,
  tries      INTEGER NOT NULL DEFAULT 0,
  not_before INTEGER NOT NULL,
  holder     TEXT,
  lease      INTEGER,
  error      TEXT
) STRICT;

CREATE INDEX notices_open ON notices (state) WHERE state IN ('pending', 'sending');

CREATE TABLE log (
  entry    INTEGER PRIMARY KEY AUTOINCREMENT,
  at       INTEGER NOT NULL,
  level    TEXT NOT NULL,
  event    TEXT NOT NULL,
  schedule TEXT,
  run      INTEGER,
  attempt  INTEGER,
  message  TEXT NOT NULL
) STRICT;

CREATE INDEX log_by_run ON log (run) WHERE run IS NOT NULL;

CREATE TABLE schedulers (
  process TEXT PRIMARY KEY,
  started INTEGER NOT NULL,
  seen    INTEGER NOT NULL
) STRICT;
