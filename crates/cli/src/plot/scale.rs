//! Round numbers for axes.

/// Round numbers from `low` to `high`, at most about `most` of them.
pub(crate) fn ticks(low: f64, high: f64, most: u32) -> Vec<f64> {
    if high.partial_cmp(&low) != Some(std::cmp::Ordering::Greater) || most == 0 {
        return vec![low];
    }
    let step = round_step((high - low) / f64::from(most));
    let mut ticks = Vec::new();
    let mut index = 0u32;
    loop {
        let tick = low + f64::from(index) * step;
        if tick > high + step * 1e-9 || index > 1_000 {
            return ticks;
        }
        ticks.push(tick);
        index += 1;
    }
}

/// The next of 1, 2, 2.5, 5, 10 … at or above a step.
fn round_step(step: f64) -> f64 {
    let power = 10f64.powf(step.log10().floor());
    [1.0, 2.0, 2.5, 5.0, 10.0]
        .iter()
        .map(|factor| factor * power)
        .find(|&round| round >= step * (1.0 - 1e-9))
        .unwrap_or(step)
}

/// A tenth at or below a survival, leaving some room; 0 where curves come near it.
pub(crate) fn floor_of(lowest: f64) -> f64 {
    if lowest < 0.3 {
        return 0.0;
    }
    ((lowest - 0.02) * 10.0).floor() / 10.0
}

/// A number without a fraction that says nothing.
pub(crate) fn label(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_within() {
        assert_eq!(
            ticks(0.0, 1_080.0, 6),
            [0.0, 200.0, 400.0, 600.0, 800.0, 1_000.0]
        );
        assert_eq!(ticks(0.0, 1_825.0, 6), [0.0, 500.0, 1_000.0, 1_500.0]);
        assert_eq!(ticks(0.0, 0.0, 6), [0.0]);
        assert_eq!(ticks(0.5, 1.0, 5).len(), 6);
    }

    #[test]
    fn labels_are_short() {
        assert_eq!(label(1.0), "1");
        assert_eq!(label(0.25), "0.25");
        assert_eq!(label(0.30000000000000004), "0.3");
        assert!((floor_of(0.87) - 0.8).abs() < 1e-12 && floor_of(0.2) == 0.0);
    }
}
