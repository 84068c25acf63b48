//! Survival curves as pictures: pure functions from series to text.

mod scale;
pub(crate) mod svg;
pub(crate) mod terminal;

/// A curve of a group: steps, with an interval around each.
#[derive(Debug, Clone)]
pub(crate) struct Series {
    /// The group.
    pub(crate) name: String,
    /// The steps, by time; before the first, everybody survives.
    pub(crate) steps: Vec<Step>,
    /// How many are at risk at each tick of [`Chart::ticks`].
    pub(crate) at_risk: Vec<u64>,
}

/// Survival from a time on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    /// In the unit of the axis.
    pub(crate) time: f64,
    /// The part that survives, from 0 to 1.
    pub(crate) survival: f64,
    /// Lower end of the interval.
    pub(crate) lower: f64,
    /// Upper end of the interval.
    pub(crate) upper: f64,
}

/// A chart of survival curves.
#[derive(Debug, Clone)]
pub(crate) struct Chart {
    /// What it shows.
    pub(crate) title: String,
    /// What may mislead, in one line.
    pub(crate) note: String,
    /// What the time axis counts.
    pub(crate) x_label: String,
    /// What the other axis shows.
    pub(crate) y_label: String,
    /// The end of the time axis.
    pub(crate) x_max: f64,
    /// The curves.
    pub(crate) series: Vec<Series>,
}

impl Chart {
    /// The times that the axis names, from 0.
    pub(crate) fn ticks(x_max: f64) -> Vec<f64> {
        scale::ticks(0.0, x_max, 6)
    }

    /// The lowest survival that the axis shows, with room for the intervals: well below the lowest curve,
    /// so that curves near 1 are not a line at the top.
    pub(crate) fn y_min(&self) -> f64 {
        self.floor(|step| step.lower)
    }

    /// The same without the intervals.
    pub(crate) fn lowest_curve(&self) -> f64 {
        self.floor(|step| step.survival)
    }

    fn floor(&self, value: fn(&Step) -> f64) -> f64 {
        let steps = self.series.iter().flat_map(|series| &series.steps);
        let lowest = steps
            .filter(|step| step.time <= self.x_max && value(step).is_finite())
            .map(value)
            .fold(1.0, f64::min);
        scale::floor_of(lowest)
    }
}

impl Series {
    /// Survival at a time.
    pub(crate) fn at(&self, time: f64) -> Step {
        let before = self.steps.partition_point(|step| step.time <= time);
        before
            .checked_sub(1)
            .and_then(|index| self.steps.get(index))
            .copied()
            .unwrap_or(Step {
                time: 0.0,
                survival: 1.0,
                lower: 1.0,
                upper: 1.0,
            })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Two groups over three years.
    pub(crate) fn sample() -> Chart {
        let steps = |rate: f64| -> Vec<Step> {
            (1..=12u32)
                .map(|quarter| {
                    let time = f64::from(quarter) * 90.0;
                    let survival = (-rate * time).exp();
                    Step {
                        time,
                        survival,
                        lower: survival - 0.03,
                        upper: (survival + 0.03).min(1.0),
                    }
                })
                .collect()
        };
        Chart {
            title: "Survival by <group> & \"year\"".into(),
            note: "not adjusted".into(),
            x_label: "days".into(),
            y_label: "survival".into(),
            x_max: 1_080.0,
            series: vec![
                Series {
                    name: "drug A".into(),
                    steps: steps(0.0004),
                    at_risk: vec![500, 450, 400, 350, 300, 250],
                },
                Series {
                    name: "drug B".into(),
                    steps: steps(0.0008),
                    at_risk: vec![400, 350, 300, 250, 200, 150],
                },
            ],
        }
    }

    #[test]
    fn survival_between_steps_is_that_of_the_step_before() {
        let chart = sample();
        assert!((chart.series[0].at(0.0).survival - 1.0).abs() < 1e-12);
        assert!((chart.series[0].at(100.0).survival - (-0.036f64).exp()).abs() < 1e-12);
        assert!(chart.y_min() <= 0.4);
    }
}
