//! Window frames that begin with their segment: where they end, row by row.

use std::ops::Range;
use std::sync::Arc;

use datafusion::common::ScalarValue;
use datafusion::logical_expr::{WindowFrame, WindowFrameBound, WindowFrameUnits};

/// Where a frame that begins with its segment ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FrameEnd {
    /// This many rows after the current row, or before it where negative.
    Rows(i64),
    /// With the last row that is sorted equally.
    Peers,
    /// With the segment.
    Segment,
}

impl FrameEnd {
    /// None for frames that begin elsewhere, or end by a distance in values.
    pub(super) fn of(frame: &Arc<WindowFrame>) -> Option<Self> {
        match &frame.start_bound {
            WindowFrameBound::Preceding(bound) if bound.is_null() => {}
            _ => return None,
        }
        match (&frame.end_bound, frame.units) {
            (WindowFrameBound::Following(bound), _) if bound.is_null() => Some(Self::Segment),
            (WindowFrameBound::CurrentRow, WindowFrameUnits::Rows) => Some(Self::Rows(0)),
            (WindowFrameBound::CurrentRow, _) => Some(Self::Peers),
            (WindowFrameBound::Preceding(rows), WindowFrameUnits::Rows) => {
                distance(rows).map(|rows| Self::Rows(-rows))
            }
            (WindowFrameBound::Following(rows), WindowFrameUnits::Rows) => {
                distance(rows).map(Self::Rows)
            }
            _ => None,
        }
    }

    /// The last row of each row's frame; none where the frame is empty.
    pub(super) fn last_rows(self, layout: &Layout) -> Vec<Option<u32>> {
        let mut last = Vec::with_capacity(layout.rows);
        match self {
            Self::Segment => {
                for segment in &layout.segments {
                    last.extend(segment.clone().map(|_| index(segment.end - 1)));
                }
            }
            Self::Peers => {
                for peers in &layout.peers {
                    last.extend(peers.clone().map(|_| index(peers.end - 1)));
                }
            }
            Self::Rows(distance) => {
                for segment in &layout.segments {
                    last.extend(segment.clone().map(|row| {
                        shifted(row, distance)
                            .map(|end| end.min(segment.end - 1))
                            .filter(|end| *end >= segment.start)
                            .and_then(index)
                    }));
                }
            }
        }
        last
    }
}

fn distance(rows: &ScalarValue) -> Option<i64> {
    match rows {
        ScalarValue::UInt64(Some(rows)) => i64::try_from(*rows).ok(),
        ScalarValue::Int64(Some(rows)) => Some(*rows),
        _ => None,
    }
}

/// A row some rows on; none before the first.
pub(super) fn shifted(row: usize, distance: i64) -> Option<usize> {
    let rows = usize::try_from(distance.unsigned_abs()).unwrap_or(usize::MAX);
    if distance < 0 {
        row.checked_sub(rows)
    } else {
        Some(row.saturating_add(rows))
    }
}

pub(super) fn index(row: usize) -> Option<u32> {
    u32::try_from(row).ok()
}

/// How a chunk divides into segments, and these into rows that are sorted equally.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) rows: usize,
    pub(super) segments: Vec<Range<usize>>,
    /// Empty unless some function asks for it.
    pub(super) peers: Vec<Range<usize>>,
}
