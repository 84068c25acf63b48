//! Durable batch schedules: which study runs when, and what became of it.
//!
//! Four processes take part, and any of them may be killed at any moment:
//!
//! - the **command line** adds schedules and looks at runs;
//! - the **scheduler** ([`run`]) makes the runs that are due and starts their runners; there may be several, or none;
//! - a **runner** ([`run_attempt`]) does one attempt: it starts the study, watches it, and writes its end;
//! - the **study** itself, `columna study run`, in a process group of its own.
//!
//! They meet in the [`State`] only, an SQLite database beside the store, each of whose changes is one transaction. A
//! run is made once for its time or snapshot, for the database refuses a second one with the same key. It is done once,
//! for every claim raises the run's *fence*, and a runner that does not hold the newest fence can neither begin nor write
//! an end. A claim ends when its process is dead, which is known from the process's number together with the moment it
//! began; where that cannot be seen (another container, another start of the machine), when its lease is over. Before an
//! attempt is given to somebody else, what is left of its processes is killed: they are known by a token in their
//! environment.

mod calendar;
mod clock;
mod definition;
mod error;
mod metrics;
mod notify;
mod process;
mod runner;
mod scheduler;
mod state;
mod stop;
mod systemd;
mod watch;

pub use calendar::Calendar;
pub use clock::{Clock, ManualClock, SystemClock, stamp};
pub use definition::{Definition, Missed, Notify, Overlap};
pub use error::{Error, Result};
pub use metrics::text as metrics;
pub use process::{ProcessId, end_with_runner};
pub use runner::{GRACE, Job, memory_ceiling, run_attempt};
pub use scheduler::{Options, Summary, run, token};
pub use state::{
    Attempt, Capacity, Cause, Claim, Ending, Entry, Held, Newest, Outcome, Run, RunFilter,
    RunState, Schedule, Standing, State,
};
pub use stop::Stop;
pub use systemd::unit;
pub use watch::newest;
