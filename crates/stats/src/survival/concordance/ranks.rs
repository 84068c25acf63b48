//! Sums of weights by rank, to be asked for what lies below, at and above a rank.
//!
//! Ranks lie in blocks of 64, blocks in blocks of 64, and so on. One of the two sums does little when a weight is added
//! and more when it is asked, the other the reverse: few events meet many persons at risk, many persons few events. Both
//! touch less memory than a binary indexed tree, whose steps are each a miss of the caches.

/// Ranks in a block, and blocks in a block.
const WIDTH: usize = 1 << BITS;
const BITS: usize = 6;

/// The places of a rank at all levels but the first, from the lowest.
fn above(rank: usize) -> impl Iterator<Item = usize> {
    (1..).map(move |level| rank >> (BITS * level))
}

/// Empty levels above the first, the last of which is one block.
fn levels(ranks: usize) -> Vec<Vec<f64>> {
    let mut levels = Vec::new();
    let mut places = ranks;
    while places > WIDTH {
        places = places.div_ceil(WIDTH);
        levels.push(vec![0.0; places]);
    }
    levels
}

/// Quick to add to.
pub(super) struct Tally {
    own: Vec<f64>,
    levels: Vec<Vec<f64>>,
    total: f64,
}

impl Tally {
    pub(super) fn new(ranks: usize) -> Self {
        Self {
            own: vec![0.0; ranks],
            levels: levels(ranks),
            total: 0.0,
        }
    }

    pub(super) fn add(&mut self, rank: usize, weight: f64) {
        self.own[rank] += weight;
        for (level, place) in self.levels.iter_mut().zip(above(rank)) {
            level[place] += weight;
        }
        self.total += weight;
    }

    /// The weight below, at and above a rank.
    pub(super) fn around(&self, rank: usize) -> (f64, f64, f64) {
        let before = |level: &[f64], place: usize| sum(&level[place & !(WIDTH - 1)..place]);
        let mut below = before(&self.own, rank);
        for (level, place) in self.levels.iter().zip(above(rank)) {
            below += before(level, place);
        }
        let own = self.own[rank];
        (below, own, self.total - below - own)
    }
}

/// Quick to ask.
pub(super) struct Prefixes {
    /// The weight before each rank in its block, and its own.
    ranks: Vec<[f64; 2]>,
    /// The weight before each place in its block.
    levels: Vec<Vec<f64>>,
    total: f64,
}

impl Prefixes {
    pub(super) fn new(ranks: usize) -> Self {
        Self {
            ranks: vec![[0.0; 2]; ranks],
            levels: levels(ranks),
            total: 0.0,
        }
    }

    pub(super) fn add(&mut self, rank: usize, weight: f64) {
        let rest = |place: usize, places: usize| place + 1..((place | (WIDTH - 1)) + 1).min(places);
        self.ranks[rank][1] += weight;
        let places = self.ranks.len();
        for [before, _] in &mut self.ranks[rest(rank, places)] {
            *before += weight;
        }
        for (level, place) in self.levels.iter_mut().zip(above(rank)) {
            let places = level.len();
            for before in &mut level[rest(place, places)] {
                *before += weight;
            }
        }
        self.total += weight;
    }

    /// The weight below, at and above a rank.
    pub(super) fn around(&self, rank: usize) -> (f64, f64, f64) {
        let [mut below, own] = self.ranks[rank];
        for (level, place) in self.levels.iter().zip(above(rank)) {
            below += level[place];
        }
        (below, own, self.total - below - own)
    }
}

/// By lanes, so that the compiler may use vectors.
fn sum(values: &[f64]) -> f64 {
    const LANES: usize = 8;
    let mut lanes = [0.0; LANES];
    let (whole, rest) = values.as_chunks::<LANES>();
    for values in whole {
        for (lane, value) in lanes.iter_mut().zip(values) {
            *lane += value;
        }
    }
    lanes.iter().chain(rest).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_say_what_counting_says() {
        for ranks in [1, 2, 63, 64, 65, 4_096, 4_097, 300_000] {
            let (mut tally, mut prefixes) = (Tally::new(ranks), Prefixes::new(ranks));
            let mut weights = vec![0.0; ranks];
            for step in 0..500_usize {
                let (rank, weight) = (
                    step * 7_919 % ranks,
                    f64::from(u8::from(step % 5 > 0)) - 0.25,
                );
                tally.add(rank, weight);
                prefixes.add(rank, weight);
                weights[rank] += weight;
                let asked = step * 104_729 % ranks;
                let below: f64 = weights[..asked].iter().sum();
                let above: f64 = weights[asked + 1..].iter().sum();
                // Quarters are exact in any order.
                assert_eq!(tally.around(asked), (below, weights[asked], above));
                assert_eq!(prefixes.around(asked), (below, weights[asked], above));
            }
        }
    }
}
