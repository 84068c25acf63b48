//! Window frames: which of its segment's rows each row looks at.

use std::ops::Range;
use std::rc::Rc;

use arrow::array::{
    Array, ArrayRef, ArrowNativeTypeOp, ArrowPrimitiveType, AsArray, PrimitiveArray, UInt32Array,
    downcast_primitive_array, new_empty_array,
};
use arrow::compute::kernels::numeric::{add, sub};
use arrow::datatypes::Schema;
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::{WindowFrameBound, WindowFrameUnits};
use datafusion::physical_expr::window::WindowExpr;

use super::changes::Changes;

/// How a chunk divides into segments, and these into rows that are sorted equally.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) rows: usize,
    pub(super) segments: Rc<Changes>,
    /// None unless some function asks for it.
    pub(super) peers: Option<Rc<Changes>>,
    /// What the rows of a segment are sorted by; empty unless some function asks for it.
    pub(super) order: Vec<ArrayRef>,
}

impl Layout {
    pub(super) fn segments(&self) -> &[Range<usize>] {
        self.segments.runs()
    }

    pub(super) fn peers(&self) -> &[Range<usize>] {
        self.peers.as_ref().map_or(&[], |peers| peers.runs())
    }
}

/// A frame between two edges, neither of which ever moves back from one row of a segment to the next.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Frame {
    pub(super) start: Edge,
    pub(super) end: Edge,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Edge {
    /// The segment's.
    Segment,
    /// This many rows after the current row, or before it where negative.
    Rows(i64),
    /// The first or last row that is sorted equally.
    Peers,
    /// The first or last row of those sorted equally, this many such groups on, or back where negative.
    Groups(i64),
    /// So far from the current row's value.
    Value(Distance),
}

/// A distance in values of what the segment is sorted by.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Distance {
    by: ScalarValue,
    /// Towards rows that come later.
    following: bool,
    descending: bool,
}

/// The rows of each row's frame: as far as the end without it, and none where that is not behind the start.
#[derive(Debug)]
pub(super) struct Frames {
    pub(super) starts: Vec<usize>,
    pub(super) ends: Vec<usize>,
}

impl Frame {
    /// None for distances that the values cannot be moved by.
    pub(super) fn of(expr: &dyn WindowExpr, input: &Schema) -> Option<Self> {
        let frame = expr.get_window_frame();
        let edge = |bound: &WindowFrameBound| {
            let (by, following) = match bound {
                WindowFrameBound::CurrentRow if frame.units == WindowFrameUnits::Rows => {
                    return Some(Edge::Rows(0));
                }
                WindowFrameBound::CurrentRow => return Some(Edge::Peers),
                WindowFrameBound::Preceding(by) => (by, false),
                WindowFrameBound::Following(by) => (by, true),
            };
            match frame.units {
                _ if by.is_null() => Some(Edge::Segment),
                WindowFrameUnits::Rows => {
                    let rows = distance(by)?;
                    Some(Edge::Rows(if following { rows } else { -rows }))
                }
                WindowFrameUnits::Range => {
                    let [by_value] = expr.order_by() else {
                        return None;
                    };
                    let distance = Distance {
                        by: by.clone(),
                        following,
                        descending: by_value.options.descending,
                    };
                    let values = new_empty_array(&by_value.expr.data_type(input).ok()?);
                    let moved = distance.moved(&values).ok()?;
                    let unsigned = values.data_type().is_unsigned_integer();
                    (moved.data_type() == values.data_type() && !unsigned)
                        .then_some(Edge::Value(distance))
                }
                WindowFrameUnits::Groups => {
                    let groups = distance(by)?;
                    Some(Edge::Groups(if following { groups } else { -groups }))
                }
            }
        };
        Some(Self {
            start: edge(&frame.start_bound)?,
            end: edge(&frame.end_bound)?,
        })
    }

    pub(super) fn needs_peers(&self) -> bool {
        [&self.start, &self.end]
            .iter()
            .any(|edge| matches!(edge, Edge::Peers | Edge::Groups(_) | Edge::Value(_)))
    }

    pub(super) fn over(&self, layout: &Layout) -> Result<Frames> {
        Ok(Frames {
            starts: self.start.rows(layout, false)?,
            ends: self.end.rows(layout, true)?,
        })
    }
}

impl Frames {
    /// A row of each frame, which is asked for where the frame has any.
    pub(super) fn pick(&self, row: impl Fn(Range<usize>) -> Option<usize>) -> UInt32Array {
        let frames = self.starts.iter().zip(&self.ends);
        frames
            .map(|(start, end)| {
                let frame = *start..*end;
                (start < end).then(|| row(frame)).flatten().and_then(index)
            })
            .collect()
    }
}

impl Edge {
    /// The edge's place for each row: the frame's first row, or where it is the `end`, the row after the frame's last.
    fn rows(&self, layout: &Layout, end: bool) -> Result<Vec<usize>> {
        let of = |range: &Range<usize>| if end { range.end } else { range.start };
        let mut rows = Vec::with_capacity(layout.rows);
        match self {
            Self::Segment => {
                for segment in layout.segments() {
                    rows.extend(segment.clone().map(|_| of(segment)));
                }
            }
            Self::Peers => {
                for peers in layout.peers() {
                    rows.extend(peers.clone().map(|_| of(peers)));
                }
            }
            Self::Rows(distance) => {
                for segment in layout.segments() {
                    rows.extend(segment.clone().map(|row| {
                        shifted(row + usize::from(end), *distance)
                            .map_or(segment.start, |row| row.clamp(segment.start, segment.end))
                    }));
                }
            }
            Self::Groups(distance) => {
                let mut peers = layout.peers();
                for segment in layout.segments() {
                    let own = peers.partition_point(|group| group.start < segment.end);
                    let (groups, rest) = peers.split_at(own);
                    peers = rest;
                    for (at, group) in groups.iter().enumerate() {
                        let edge = match shifted(at, *distance) {
                            Some(other) => groups.get(other).map_or(segment.end, of),
                            None => segment.start,
                        };
                        rows.extend(group.clone().map(|_| edge));
                    }
                }
            }
            Self::Value(distance) => {
                let [values] = &layout.order[..] else {
                    return exec_err!("a frame by value is sorted by one key");
                };
                let edges = distance.each_moved(values)?;
                downcast_primitive_array! {
                    values => {
                        let edges = edges.as_primitive();
                        by_value(values, edges, distance, layout, end, &mut rows);
                    }
                    other => return exec_err!("no frame by distances in {other}")
                }
            }
        }
        Ok(rows)
    }
}

impl Distance {
    fn moved(&self, values: &ArrayRef) -> Result<ArrayRef> {
        let by = self.by.to_scalar()?;
        Ok(if self.following == self.descending {
            sub(values, &by)?
        } else {
            add(values, &by)?
        })
    }

    /// The values moved; NULL where the type does not go so far.
    fn each_moved(&self, values: &ArrayRef) -> Result<ArrayRef> {
        if let Ok(moved) = self.moved(values) {
            return Ok(moved);
        }
        let each = (0..values.len()).map(|row| {
            let moved = self.moved(&values.slice(row, 1));
            match moved {
                Ok(moved) => ScalarValue::try_from_array(&moved, 0),
                Err(_) => ScalarValue::try_from(values.data_type()),
            }
        });
        ScalarValue::iter_to_array(each.collect::<Result<Vec<_>>>()?)
    }
}

/// The place of an edge by value. Rows without a value have those without one for their frame.
fn by_value<T: ArrowPrimitiveType>(
    values: &PrimitiveArray<T>,
    edges: &PrimitiveArray<T>,
    distance: &Distance,
    layout: &Layout,
    end: bool,
    rows: &mut Vec<usize>,
) {
    let before = |a: T::Native, b: T::Native| {
        if distance.descending {
            b.is_lt(a)
        } else {
            a.is_lt(b)
        }
    };
    let mut peers = layout.peers().iter();
    for segment in layout.segments() {
        let valid = |row: &usize| values.is_valid(*row);
        let first = segment.clone().find(valid).unwrap_or(segment.end);
        let last = segment.clone().rfind(valid).map_or(first, |row| row + 1);
        let mut at = first;
        while rows.len() < segment.end {
            let Some(alike) = peers.next() else { break };
            let row = alike.start;
            let edge = if values.is_null(row) {
                if end { alike.end } else { row }
            } else if edges.is_null(row) {
                if distance.following { last } else { first }
            } else {
                let edge = edges.value(row);
                while at < last
                    && (before(values.value(at), edge) || (end && !before(edge, values.value(at))))
                {
                    at += 1;
                }
                at
            };
            rows.extend(alike.clone().map(|_| edge));
        }
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
