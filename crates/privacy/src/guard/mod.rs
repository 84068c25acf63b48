//! Guarded tables: a policy's filter and masks, in a plan node of their own.
//!
//! A filter above a scan is no access control: the engine moves cheap predicates and casts around it, statistics
//! answer `min` and `max` of hidden rows, and an error may carry a hidden value. So a principal's session knows
//! [`GuardedTable`]s only. Their plan is a [`GuardExec`] over the scan, which drops the hidden rows and masks columns
//! inside itself, lets nothing of the query pass but comparisons of unmasked columns with literals, and has
//! neither statistics nor metrics. It keeps order and range partitioning where the columns are unmasked; behind a pseudonym,
//! what remains of them ([`StoredOrder`]).

mod codec;
mod exec;
mod fault;
mod filter;
mod literals;
mod pushdown;
mod stored_order;
mod stream;
mod table;

pub use codec::{GuardCodec, GuardSource, GuardSpec};
pub use exec::GuardExec;
pub use fault::FilterFault;
pub use filter::check_filter;
pub use stored_order::{StoredOrder, persons_together};
pub use table::{GuardedTable, guard, guard_table};
