//! Pairs of rows that leave few persons.

use std::collections::HashMap;

use super::super::sketch::mixed;
use super::rows::Field;

/// The columns of a row that are not zero, in order.
pub(super) type Sparse = Vec<(usize, u64)>;

pub(super) fn sparse(row: &[u32]) -> Sparse {
    let all = row.iter().enumerate();
    all.filter(|(_, value)| **value != 0)
        .map(|(column, value)| (column, u64::from(*value)))
        .collect()
}

/// Which rows may leave few persons with which.
///
/// Of two rows of which one, taken any number of times from the other, leaves fewer than k columns, all blocks of columns but fewer
/// than k are multiples of each other. So where one of them has something in k blocks, the other has the same direction in one of
/// those. Rows that have something in fewer blocks are compared with each other.
pub(super) struct Alike {
    rows: Vec<Sparse>,
    /// Of each row, the blocks where it has something, and its direction there.
    directions: Vec<Vec<(usize, u64)>>,
    /// The rows that have it.
    of: HashMap<(usize, u64), Vec<usize>>,
    narrow: Vec<usize>,
    k: usize,
}

impl Alike {
    /// The rows, of so many columns.
    pub(super) fn of(rows: Vec<Sparse>, columns: usize, k: u64) -> Self {
        let k = usize::try_from(k).unwrap_or(usize::MAX);
        let width = (columns / k.saturating_mul(4)).max(1);
        let directions: Vec<Vec<(usize, u64)>> = rows
            .iter()
            .map(|row| {
                let blocks = row.chunk_by(|(one, _), (next, _)| one / width == next / width);
                let directions = blocks.map(|block| {
                    let inverse = Field::LARGE.inverse(block[0].1);
                    let direction = block.iter().fold(0, |hash, (column, value)| {
                        mixed(hash ^ ((*column as u64) << 32) ^ Field::LARGE.times(*value, inverse))
                    });
                    (block[0].0 / width, direction)
                });
                directions.collect()
            })
            .collect();
        let mut of: HashMap<(usize, u64), Vec<usize>> = HashMap::new();
        for (at, directions) in directions.iter().enumerate() {
            for direction in directions {
                of.entry(*direction).or_default().push(at);
            }
        }
        let narrow = (0..rows.len())
            .filter(|at| directions[*at].len() < k)
            .collect();
        Self {
            rows,
            directions,
            of,
            narrow,
            k,
        }
    }

    /// The rows that may be, in order.
    pub(super) fn with(&self, row: usize) -> Vec<usize> {
        let directions = self.directions[row].iter();
        let mut all: Vec<usize> = directions
            .flat_map(|direction| &self.of[direction])
            .copied()
            .collect();
        if self.directions[row].len() < self.k {
            all.extend(&self.narrow);
        }
        all.sort_unstable();
        all.dedup();
        all.retain(|other| *other != row);
        all
    }

    /// How many times the second of two rows leaves fewer than k persons of the first.
    pub(super) fn ratios(&self, a: usize, b: usize, sizes: &[u64]) -> Vec<u64> {
        leave_few([&self.rows[a], &self.rows[b]], sizes, self.k as u64)
    }
}

/// Entries of two rows by atom, zero where there is none.
fn beside<'a>(
    a: &'a [(usize, u64)],
    b: &'a [(usize, u64)],
) -> impl Iterator<Item = (usize, u64, u64)> + 'a {
    let (mut a, mut b) = (a.iter().copied().peekable(), b.iter().copied().peekable());
    std::iter::from_fn(move || {
        let atom = match (a.peek(), b.peek()) {
            (Some((a, _)), Some((b, _))) => *a.min(b),
            (Some((atom, _)), None) | (None, Some((atom, _))) => *atom,
            (None, None) => return None,
        };
        let x = a
            .next_if(|(of, _)| *of == atom)
            .map_or(0, |(_, value)| value);
        let y = b
            .next_if(|(of, _)| *of == atom)
            .map_or(0, |(_, value)| value);
        Some((atom, x, y))
    })
}

/// How many times the second of two rows leaves fewer than k persons of the first.
fn leave_few([a, b]: [&[(usize, u64)]; 2], sizes: &[u64], k: u64) -> Vec<u64> {
    // What only one of them has stays, and so does what has another ratio: of any k columns, one has the ratio that leaves few, and
    // of any two times k more than half have it.
    let (mut alone, mut both) = (0, Vec::new());
    let many = 2 * usize::try_from(k).unwrap_or(usize::MAX / 2);
    for (column, x, y) in beside(a, b).filter(|(column, _, _)| sizes[*column] > 0) {
        if x > 0 && y > 0 {
            both.push((x, y));
            if both.len() == many {
                break;
            }
            continue;
        }
        alone += sizes[column];
        if alone >= k {
            return Vec::new();
        }
    }
    let times = |a, b| Field::LARGE.times(a, b);
    let same = |one: (u64, u64), other: (u64, u64)| times(one.0, other.1) == times(one.1, other.0);
    let candidates: Vec<(u64, u64)> = match both.len() == many {
        true => {
            // The only one that more than half may have, by Boyer and Moore (1991).
            let (mut most, mut votes) = (both[0], 0_usize);
            for pair in &both {
                match (votes, same(most, *pair)) {
                    (0, _) => (most, votes) = (*pair, 1),
                    (_, true) => votes += 1,
                    (_, false) => votes -= 1,
                }
            }
            let agree = both.iter().filter(|pair| same(most, **pair)).count();
            (2 * agree > many).then_some(most).into_iter().collect()
        }
        false => both,
    };
    let mut ratios: Vec<u64> = Vec::new();
    for (x, y) in candidates {
        let ratio = times(x, Field::LARGE.inverse(y));
        if !ratios.contains(&ratio) {
            ratios.push(ratio);
        }
    }
    ratios.retain(|ratio| {
        let mut left = 0;
        beside(a, b).all(|(column, x, y)| {
            if x != times(*ratio, y) {
                left += sizes[column];
            }
            left < k
        })
    });
    ratios
}

#[cfg(test)]
mod tests {
    use super::super::rows::P;
    use super::*;

    /// Rows of any width, some of them a multiple of another but for a few columns: no two that leave few are missed.
    #[test]
    fn rows_that_leave_few_are_looked_at() {
        const COLUMNS: usize = 120;
        const K: u64 = 5;
        let sizes = vec![1; COLUMNS];
        let mut state = 3_u64;
        let mut next = move |below: u64| {
            state = mixed(state);
            state % below
        };
        let mut found = 0;
        for _ in 0..20 {
            let mut rows: Vec<Vec<u64>> = Vec::new();
            for at in 0..30 {
                let width = [3, 10, 40, 120][at % 4];
                let mut row = match rows.last().filter(|_| at % 3 == 0) {
                    Some(last) => last
                        .iter()
                        .map(|value| Field::LARGE.times(*value, 1 + at as u64))
                        .collect(),
                    None => (0..COLUMNS as u64)
                        .map(|_| if next(120) < width { 1 + next(9) } else { 0 })
                        .collect::<Vec<u64>>(),
                };
                for _ in 0..next(4) {
                    let column = usize::try_from(next(COLUMNS as u64)).unwrap_or(0);
                    row[column] = next(P);
                }
                rows.push(row);
            }
            let sparse = rows.iter().map(|row| {
                let columns = row.iter().copied().enumerate();
                columns.filter(|(_, value)| *value != 0).collect::<Sparse>()
            });
            let alike = Alike::of(sparse.collect(), COLUMNS, K);
            for a in 0..rows.len() {
                let with = alike.with(a);
                for b in (0..rows.len()).filter(|b| *b != a) {
                    if !alike.ratios(a, b, &sizes).is_empty() {
                        assert!(with.contains(&b));
                        found += usize::from(alike.directions[a].len() >= 5);
                    }
                }
            }
        }
        assert!(found > 100, "{found}");
    }
}
