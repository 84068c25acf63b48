//! The audit: what can be said of a withheld number from all numbers that are shown.
//!
//! A table's numbers obey equations (a margin is the sum of its cells) and are not negative. The least and the
//! greatest value that a withheld number can have are two linear programmes. Counting gaps is not enough: a table
//! with two gaps in each row and column can still fix a cell.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use microlp::{ComparisonOp, OptimizationDirection, Problem};

/// A number of a table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Number {
    /// What it is.
    pub value: f64,
    /// How far what is shown may be from it; nothing if it is withheld.
    pub shown: Option<f64>,
    /// So few persons stand behind it that it must not be known.
    pub sensitive: bool,
    /// It may still be withheld: it was not released before.
    pub open: bool,
    /// Withheld, it is known to lie in here: groups of few persons are not listed, and others are.
    pub range: (f64, f64),
}

impl Number {
    /// Between which values it lies, by what is shown of it alone.
    fn possible(&self) -> (f64, f64) {
        let (low, high) = self.range;
        self.shown.map_or(self.range, |slack| {
            (
                (self.value - slack).max(low),
                (self.value + slack).min(high),
            )
        })
    }

    /// What must stay possible of it: no more than fewer than `k`, whichever.
    fn wanted(&self, k: u32) -> Wanted {
        Wanted {
            low: 0.0,
            high: f64::from(k).min(self.range.1),
        }
    }
}

/// A margin and its cells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Equation {
    /// The margin's place.
    pub margin: usize,
    /// Its cells' places.
    pub cells: Vec<usize>,
    /// Its cells share some of what they count: it is at most their sum.
    pub shared: bool,
}

/// Numbers, and the equations between them.
#[derive(Debug, Clone, Default)]
pub struct Audit {
    /// The numbers.
    pub numbers: Vec<Number>,
    /// The equations.
    pub equations: Vec<Equation>,
}

/// A linear programme has at most about this many variables. What lies beyond is taken as known to the attacker, which
/// only makes the bounds narrower than they are.
const LARGEST: usize = 300;

/// Which equations each number is in.
type Touching = BTreeMap<usize, Vec<usize>>;

/// What withheld numbers were found to be able to be. A solution of one number's programme is one for all others in it, and stays
/// one whatever else is withheld: many numbers need no programme of their own.
#[derive(Default)]
struct Witnessed {
    /// Numbers that can be 0.
    low: HashSet<usize>,
    /// Numbers that can be `k`.
    high: HashSet<usize>,
    /// How many programmes were solved.
    programmes: usize,
}

/// Programmes that are solved for one table at most: some seconds, for which others who ask have to wait.
const MOST_PROGRAMMES: usize = 2_000;

/// How low and how high a number must be able to be.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    low: f64,
    high: f64,
}

impl Wanted {
    /// A value is as good as the least.
    fn is_low(&self, value: f64) -> bool {
        value < self.low + AS_GOOD_AS_ZERO
    }

    /// A value is as good as the most.
    fn is_high(&self, value: f64) -> bool {
        value >= self.high - 1e-6
    }
}

/// What was withheld of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Protected {
    /// The places that were withheld.
    pub withheld: Vec<usize>,
    /// Sensitive numbers that stay exposed: by which groups are listed, or by what was released before. What is shown now says
    /// no more of them.
    pub exposed: Vec<usize>,
    /// There were too many of them to look at: everything that was open is withheld.
    pub gave_up: bool,
}

/// A number of less is as good as 0.
const AS_GOOD_AS_ZERO: f64 = 0.5;

/// What can say something of a number.
struct Neighbourhood {
    /// The numbers that vary.
    free: BTreeSet<usize>,
    equations: BTreeSet<usize>,
}

impl Audit {
    fn touching(&self) -> Touching {
        let mut touching = Touching::new();
        for (at, equation) in self.equations.iter().enumerate() {
            for number in equation.cells.iter().chain([&equation.margin]) {
                touching.entry(*number).or_default().push(at);
            }
        }
        touching
    }

    /// Is it known exactly?
    fn is_exact(&self, number: usize) -> bool {
        self.numbers[number].shown == Some(0.0)
    }

    /// The equations around a number, nearest first, until there are enough.
    fn neighbourhood(&self, from: usize, touching: &Touching) -> Neighbourhood {
        let mut free = BTreeSet::from([from]);
        let mut equations = BTreeSet::new();
        let mut next = std::collections::VecDeque::from([from]);
        while let Some(number) = next.pop_front() {
            for at in touching.get(&number).into_iter().flatten() {
                if !equations.insert(*at) {
                    continue;
                }
                let equation = &self.equations[*at];
                for other in equation.cells.iter().chain([&equation.margin]) {
                    // What is known exactly passes nothing on.
                    if !self.is_exact(*other) && free.len() < LARGEST && free.insert(*other) {
                        next.push_back(*other);
                    }
                }
            }
        }
        Neighbourhood { free, equations }
    }

    /// The least and the greatest value that a number can have, given all that is shown. Nothing where the
    /// programmes can't be solved.
    #[must_use]
    pub fn bounds(&self, target: usize) -> Option<(f64, f64)> {
        self.bounds_with(target, &self.touching())
    }

    fn bounds_with(&self, target: usize, touching: &Touching) -> Option<(f64, f64)> {
        if self.numbers[target].shown.is_some() {
            return Some(self.numbers[target].possible());
        }
        let around = self.neighbourhood(target, touching);
        let low = self.solved(target, &around, OptimizationDirection::Minimize)?;
        let high = self.solved(target, &around, OptimizationDirection::Maximize)?;
        Some((low.0, high.0))
    }

    /// The least or the greatest value of a withheld number, and what the withheld numbers around it are then. Nothing where
    /// the programme can't be solved.
    fn solved(
        &self,
        target: usize,
        around: &Neighbourhood,
        direction: OptimizationDirection,
    ) -> Option<(f64, Vec<(usize, f64)>)> {
        let minimise = matches!(direction, OptimizationDirection::Minimize);
        if around.equations.is_empty() {
            let (low, high) = self.numbers[target].range;
            return Some((if minimise { low } else { high }, Vec::new()));
        }
        let mut problem = Problem::new(direction);
        let variables: BTreeMap<usize, _> = around
            .free
            .iter()
            .map(|number| {
                let known = &self.numbers[*number];
                let range = known.possible();
                let weight = if *number == target { 1.0 } else { 0.0 };
                (*number, problem.add_var(weight, range))
            })
            .collect();
        for at in &around.equations {
            let equation = &self.equations[*at];
            let mut terms = Vec::new();
            let mut rest = 0.0;
            let signed = equation.cells.iter().map(|cell| (cell, 1.0));
            for (number, sign) in signed.chain([(&equation.margin, -1.0)]) {
                match variables.get(number) {
                    Some(variable) => terms.push((*variable, sign)),
                    None => rest -= sign * self.numbers[*number].value,
                }
            }
            let comparison = match equation.shared {
                true => ComparisonOp::Ge,
                false => ComparisonOp::Eq,
            };
            problem.add_constraint(terms, comparison, rest);
        }
        match problem.solve() {
            Ok(solution) => {
                let withheld = variables
                    .into_iter()
                    .filter(|(number, _)| self.numbers[*number].shown.is_none());
                let values = withheld.map(|(number, variable)| (number, solution[variable]));
                Some((solution.objective(), values.collect()))
            }
            Err(microlp::Error::Unbounded) if !minimise => Some((f64::INFINITY, Vec::new())),
            Err(_) => None,
        }
    }

    /// Withholds numbers that are still open until no sensitive one can be told apart from 0 nor from a number of
    /// `k`.
    pub fn protect(&mut self, k: u32) -> Protected {
        self.protect_within(k, MOST_PROGRAMMES)
    }

    fn protect_within(&mut self, k: u32, programmes: usize) -> Protected {
        let sensitive: Vec<usize> = (0..self.numbers.len())
            .filter(|at| self.numbers[*at].sensitive)
            .collect();
        let touching = self.touching();
        let mut witnessed = Witnessed::default();
        let mut least = self.least();
        let (mut withheld, mut exposed) = (Vec::new(), Vec::new());
        // A number withheld for one target never exposes another one: fewer numbers are shown.
        for target in sensitive {
            let mut wanted = self.numbers[target].wanted(k);
            let mut floor_known = false;
            loop {
                if witnessed.programmes + least.1.programmes > programmes {
                    for at in 0..self.numbers.len() {
                        let number = &mut self.numbers[at];
                        if number.open && number.shown.take().is_some() {
                            withheld.push(at);
                        }
                    }
                    return Protected {
                        withheld,
                        exposed,
                        gave_up: true,
                    };
                }
                if self.protected_with(target, k, wanted, &touching, &mut witnessed) {
                    break;
                }
                if !floor_known {
                    floor_known = true;
                    if let Some(floor) = floor(&mut least, target, k, &touching) {
                        exposed.push(target);
                        wanted = floor;
                        continue;
                    }
                }
                let Some(next) = self.candidate(target, &touching) else {
                    break;
                };
                self.numbers[next].shown = None;
                withheld.push(next);
            }
        }
        Protected {
            withheld,
            exposed,
            gave_up: false,
        }
    }

    /// The same with all withheld that still can be, and what was found of it.
    fn least(&self) -> (Self, Witnessed) {
        let mut least = self.clone();
        for number in least.numbers.iter_mut().filter(|number| number.open) {
            number.shown = None;
        }
        (least, Witnessed::default())
    }

    /// The number can be 0, and can be `k`, by all that is shown.
    #[must_use]
    pub fn is_protected(&self, target: usize, k: u32) -> bool {
        let wanted = self.numbers[target].wanted(k);
        self.protected_with(
            target,
            k,
            wanted,
            &self.touching(),
            &mut Witnessed::default(),
        )
    }

    fn protected_with(
        &self,
        target: usize,
        k: u32,
        wanted: Wanted,
        touching: &Touching,
        witnessed: &mut Witnessed,
    ) -> bool {
        if self.numbers[target].shown.is_some() {
            let (low, high) = self.numbers[target].possible();
            return wanted.is_low(low) && wanted.is_high(high);
        }
        let (low, high) = (
            witnessed.low.contains(&target),
            witnessed.high.contains(&target),
        );
        if low && high {
            return true;
        }
        let around = self.neighbourhood(target, touching);
        let mut can = |direction, is: &dyn Fn(f64) -> bool| {
            witnessed.programmes += 1;
            let Some((value, found)) = self.solved(target, &around, direction) else {
                return false;
            };
            for (number, value) in found {
                let all = self.numbers[number].wanted(k);
                if all.is_low(value) {
                    witnessed.low.insert(number);
                }
                if all.is_high(value) {
                    witnessed.high.insert(number);
                }
            }
            is(value)
        };
        (low || can(OptimizationDirection::Minimize, &|value| {
            wanted.is_low(value)
        })) && (high
            || can(OptimizationDirection::Maximize, &|value| {
                wanted.is_high(value)
            }))
    }

    /// The next number to withhold for a target. First from equations with a single gap, which is no gap at all, and
    /// there one that fills two of them; then from those of the target itself, then from its neighbourhood; cells
    /// before margins, small before large.
    fn candidate(&self, target: usize, touching: &Touching) -> Option<usize> {
        let Neighbourhood { equations, .. } = self.neighbourhood(target, touching);
        let mut ranks: BTreeMap<usize, (bool, usize, bool, bool)> = BTreeMap::new();
        for at in equations {
            let equation = &self.equations[at];
            let parts = || equation.cells.iter().chain([&equation.margin]);
            let single = parts()
                .filter(|at| self.numbers[**at].shown.is_none())
                .count()
                < 2;
            let near = parts().any(|at| *at == target);
            for place in parts() {
                let rank = ranks
                    .entry(*place)
                    .or_insert((true, usize::MAX, true, true));
                rank.0 &= !single;
                rank.1 -= usize::from(single);
                rank.2 &= !near;
                rank.3 &= *place == equation.margin;
            }
        }
        let open = ranks.into_iter().filter(|(at, _)| {
            let number = &self.numbers[*at];
            number.open && number.shown.is_some()
        });
        let best = open.min_by(|(a, of_a), (b, of_b)| {
            let (a, b) = (self.numbers[*a].value, self.numbers[*b].value);
            of_a.cmp(of_b).then(a.total_cmp(&b))
        });
        best.map(|(at, _)| at)
    }
}

/// What a number can be by what can't be withheld any more, where that is less than it should be: by which groups are listed, and
/// what was released before. To withhold all others for it would help nobody.
fn floor(
    (least, witnessed): &mut (Audit, Witnessed),
    target: usize,
    k: u32,
    touching: &Touching,
) -> Option<Wanted> {
    let wanted = least.numbers[target].wanted(k);
    if least.protected_with(target, k, wanted, touching, witnessed) {
        return None;
    }
    witnessed.programmes += 2;
    let (low, high) = least.bounds_with(target, touching)?;
    Some(Wanted {
        low: low.max(wanted.low),
        high: high.min(wanted.high),
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    /// A table with its margins, all shown but the cells below `k` and those named.
    fn table(rows: &[&[f64]], k: f64, hidden: &[(usize, usize)]) -> Audit {
        let (height, width) = (rows.len(), rows[0].len());
        let mut audit = Audit::default();
        for (i, row) in rows.iter().enumerate() {
            for (j, value) in row.iter().enumerate() {
                let sensitive = *value > 0.0 && *value < k;
                audit.numbers.push(Number {
                    value: *value,
                    shown: (!sensitive && !hidden.contains(&(i, j))).then_some(0.0),
                    sensitive,
                    open: true,
                    range: (0.0, f64::INFINITY),
                });
            }
        }
        let mut margin = |value: f64, cells: Vec<usize>| {
            audit.numbers.push(Number {
                value,
                shown: Some(0.0),
                sensitive: false,
                open: true,
                range: (0.0, f64::INFINITY),
            });
            audit.equations.push(Equation {
                margin: audit.numbers.len() - 1,
                cells,
                shared: false,
            });
        };
        for (i, row) in rows.iter().enumerate() {
            margin(
                row.iter().sum(),
                (0..width).map(|j| i * width + j).collect(),
            );
        }
        for j in 0..width {
            margin(
                rows.iter().map(|row| row[j]).sum(),
                (0..height).map(|i| i * width + j).collect(),
            );
        }
        audit
    }

    fn changed(withheld: &[usize], exposed: &[usize]) -> Protected {
        Protected {
            withheld: withheld.to_vec(),
            exposed: exposed.to_vec(),
            gave_up: false,
        }
    }

    /// A table of many small cells, with its margins.
    fn scattered(height: usize, width: usize) -> Audit {
        let rows: Vec<Vec<f64>> = (0..height)
            .map(|i| {
                (0..width)
                    .map(|j| ((i * 7919 + j * 104_729 + i * j * 31) % 29) as f64)
                    .collect()
            })
            .collect();
        let rows: Vec<&[f64]> = rows.iter().map(Vec::as_slice).collect();
        table(&rows, 11.0, &[])
    }

    #[test]
    fn many_small_cells_need_few_programmes() {
        let mut audit = scattered(14, 14);
        let small = audit
            .numbers
            .iter()
            .filter(|number| number.sensitive)
            .count();
        // Each by itself would take two.
        let protected = audit.protect_within(11, small);
        assert!(
            !protected.gave_up && protected.exposed.is_empty(),
            "{small}"
        );
        // What is said of a cell by another one's programme is what its own says.
        for at in 0..audit.numbers.len() {
            assert!(!audit.numbers[at].sensitive || audit.is_protected(at, 11));
        }
    }

    #[test]
    fn what_is_too_much_to_look_at_is_withheld() {
        let mut audit = scattered(14, 14);
        audit.numbers[0].open = false;
        let protected = audit.protect_within(11, 3);
        assert!(protected.gave_up);
        let open = audit.numbers.iter().filter(|number| number.open);
        assert!(open.clone().count() > 200 && open.clone().all(|number| number.shown.is_none()));
    }

    #[test]
    fn two_gaps_in_each_row_and_column_are_not_enough() {
        // Eight gaps in a cycle: what one gains the next loses, and two zeros stop it in both directions.
        let gaps = [
            (0, 0),
            (0, 1),
            (1, 1),
            (1, 2),
            (2, 2),
            (2, 3),
            (3, 0),
            (3, 3),
        ];
        let rows: [&[f64]; 4] = [
            &[0.0, 20.0, 30.0, 40.0],
            &[30.0, 12.0, 25.0, 50.0],
            &[40.0, 50.0, 30.0, 35.0],
            &[0.0, 40.0, 30.0, 18.0],
        ];
        let mut audit = table(&rows, 11.0, &gaps);
        let (low, high) = audit.bounds(1).unwrap();
        assert_eq!(
            (low, high),
            (20.0, 20.0),
            "the cell is fixed: {low} to {high}"
        );
        audit.numbers[1].sensitive = true;
        let protected = audit.protect(11);
        assert!(!protected.withheld.is_empty() && protected.exposed.is_empty());
        let (low, high) = audit.bounds(1).unwrap();
        assert!(low < 0.5 && high >= 11.0, "{low} to {high}");
    }

    #[test]
    fn a_single_small_cell_takes_others_with_it() {
        let rows: [&[f64]; 3] = [&[3.0, 50.0, 60.0], &[40.0, 20.0, 35.0], &[30.0, 70.0, 80.0]];
        let mut audit = table(&rows, 11.0, &[]);
        assert_eq!(audit.bounds(0).unwrap(), (3.0, 3.0));
        let protected = audit.protect(11);
        assert!(protected.exposed.is_empty());
        assert!((3..=4).contains(&protected.withheld.len()), "{protected:?}");
        let (low, high) = audit.bounds(0).unwrap();
        assert!(low < 0.5 && high >= 11.0);
    }

    #[test]
    fn two_small_cells_whose_sum_is_small_are_not_left_alone_with_it() {
        // A table of one row: 3 + 4 + 50, total 57. The sum of the two withheld cells would be 7.
        let mut audit = table(&[&[3.0, 4.0, 50.0]], 11.0, &[]);
        audit.equations.truncate(1);
        assert_eq!(audit.protect(11).withheld, [2]);
    }

    #[test]
    fn that_groups_are_listed_is_known_of_them() {
        // One row each: 10 + 10 + 80, total 100. Two groups that are not listed have 20 together, and 10 at most each.
        let mut audit = table(&[&[10.0, 10.0, 80.0]], 11.0, &[]);
        audit.equations.truncate(1);
        for at in [0, 1] {
            audit.numbers[at].range = (0.0, 10.0);
        }
        audit.numbers[2].range = (11.0, f64::INFINITY);
        assert_eq!(audit.bounds(0), Some((10.0, 10.0)));
        assert_eq!(audit.protect(11), changed(&[2], &[]));
        assert_eq!(audit.bounds(0), Some((0.0, 10.0)));
    }

    #[test]
    fn what_nothing_can_protect_takes_nothing_with_it() {
        // Two groups of fewer than 11 that are not listed, in a margin that is: each has somebody. The other margin is none of theirs.
        let mut audit = table(&[&[6.0, 8.0], &[30.0, 40.0]], 11.0, &[]);
        for at in [0, 1] {
            audit.numbers[at].range = (0.0, 10.0);
        }
        for at in [2, 3, 4, 5, 6, 7] {
            audit.numbers[at].range = (11.0, f64::INFINITY);
        }
        let protected = audit.protect(11);
        assert_eq!(protected.exposed, [0, 1]);
        // Of each column and of the first row one number is enough.
        assert!(protected.withheld.len() <= 4, "{protected:?}");
        for at in [0, 1] {
            assert_eq!(audit.bounds(at), Some((1.0, 10.0)));
        }
    }

    #[test]
    fn parts_that_share_persons_have_them_at_most() {
        // 20 of both, 15 and fewer than 11 in its parts: at least 5 are in the second, unless one of the other numbers is withheld.
        let mut audit = table(&[&[15.0, 9.0, 20.0]], 11.0, &[]);
        audit.equations = vec![Equation {
            margin: 2,
            cells: vec![0, 1],
            shared: true,
        }];
        audit.numbers[1].range = (0.0, 10.0);
        assert_eq!(audit.bounds(1), Some((5.0, 10.0)));
        assert_eq!(audit.protect(11).withheld.len(), 1);
        assert_eq!(audit.bounds(1), Some((0.0, 10.0)));
    }

    #[test]
    fn rounding_protects_where_it_is_coarse_enough() {
        let mut audit = table(&[&[3.0, 40.0, 50.0]], 8.0, &[]);
        audit.equations.truncate(1);
        for number in &mut audit.numbers {
            number.shown = number.shown.map(|_| 2.5);
        }
        let (low, high) = audit.bounds(0).unwrap();
        assert!(low < 0.5 && high > 8.0, "{low} to {high}");
        assert_eq!(audit.protect(8), changed(&[], &[]));
    }

    #[test]
    fn what_was_released_before_cannot_be_taken_back() {
        let mut audit = table(&[&[3.0, 50.0]], 11.0, &[]);
        audit.equations.truncate(1);
        for number in &mut audit.numbers {
            number.open = false;
        }
        assert_eq!(audit.protect(11), changed(&[], &[0]));
        // A new margin over released cells is what gives way.
        audit.numbers[2].open = true;
        assert_eq!(audit.protect(11), changed(&[2], &[]));
    }
}
