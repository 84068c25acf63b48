//! The report: one HTML file that needs nothing else.

pub(crate) mod number;

use std::path::Path;

use crate::error::Result;
use crate::run::RunRecord;
use crate::spec::Study;

pub(crate) fn write(_study: &Study, _record: &RunRecord, _out: &Path) -> Result<()> {
    Ok(())
}
