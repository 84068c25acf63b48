//! The named rules of disclosure control, and where a policy differs from them.

/// What is shown of a count that is too small to be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Withheld {
    /// NULL.
    Null,
    /// Minus the smallest count that is shown, as OHDSI's tools store it.
    MinusMinimum,
}

/// How the answers of an aggregate role are made safe.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// What it is called.
    pub name: &'static str,
    /// At least this many distinct persons stand behind every number.
    pub k: u32,
    /// Counts are rounded to the nearest multiple of this.
    pub round_to: Option<u32>,
    /// Shares are quotients of counts rounded to the midpoint of intervals this wide.
    pub midpoint: Option<u32>,
    /// Margins are sums of the numbers shown, and so tell nothing more.
    pub margins_of_shown: bool,
    /// What stands for a count that is not shown.
    pub withheld: Withheld,
    /// Dominance NK: the largest this many contributors must not hold more than this share of a sum.
    pub dominance: (u32, f64),
    /// What is left of a sum without its two largest contributors is at least this part of the largest.
    pub p_ratio: f64,
    /// A model needs at least this many events per coefficient.
    pub events_per_coefficient: u32,
}

/// The names that policies may use.
pub const PROFILES: [&str; 5] = ["opensafely", "cms", "ohdsi", "sacro", "datashield"];

/// A profile by its name.
///
/// What a profile's own guide leaves open is taken from SACRO's: dominance NK(2, 0.9) and a p-ratio of 0.10.
///
/// Sources: OpenSAFELY's permitted results policy (redact counts of 7 or less, round to 5, midpoint 6); the cell size
/// policy of the Centers for Medicare & Medicaid Services (no cell of 1 to 10, and none derivable); OHDSI's
/// `minCellCount` of 5; SACRO's default limits; DataSHIELD's default `nfilter.tab` of 3.
#[must_use]
pub fn profile(name: &str) -> Option<Profile> {
    let base = Profile {
        name: "cms",
        k: 11,
        round_to: None,
        midpoint: None,
        margins_of_shown: false,
        withheld: Withheld::Null,
        dominance: (2, 0.9),
        p_ratio: 0.10,
        events_per_coefficient: 10,
    };
    Some(match name {
        "opensafely" => Profile {
            name: "opensafely",
            k: 8,
            round_to: Some(5),
            midpoint: Some(6),
            margins_of_shown: true,
            ..base
        },
        "cms" => base,
        "ohdsi" => Profile {
            name: "ohdsi",
            k: 5,
            withheld: Withheld::MinusMinimum,
            ..base
        },
        "sacro" => Profile {
            name: "sacro",
            k: 10,
            ..base
        },
        "datashield" => Profile {
            name: "datashield",
            k: 3,
            ..base
        },
        _ => return None,
    })
}

impl Profile {
    /// A count as it is shown: rounded, or nothing where it is below the threshold.
    #[must_use]
    pub fn count(&self, count: u64) -> Option<u64> {
        (count >= u64::from(self.k)).then(|| self.rounded(count))
    }

    /// Counts are not rounded.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.round_to.is_none_or(|step| step <= 1)
    }

    /// A count that may be shown, rounded to the profile's step.
    #[must_use]
    pub fn rounded(&self, count: u64) -> u64 {
        match self.round_to.map(u64::from) {
            Some(step) if step > 1 => (count + step / 2) / step * step,
            _ => count,
        }
    }

    /// A count of rows of so many persons, rounded to the step of persons: as many times it as a person has rows.
    #[must_use]
    pub fn rows(&self, rows: u64, persons: u64) -> Option<u64> {
        let shown = self.count(rows)?;
        match self.round_to.map(u64::from) {
            Some(step) if rows > persons => {
                let step = (step * rows.div_ceil(persons.max(1))).max(1);
                Some((rows + step / 2) / step * step)
            }
            _ => Some(shown),
        }
    }

    /// A count as it stands in a share: the midpoint of its interval, where the profile says so.
    #[must_use]
    pub fn in_share(&self, count: u64) -> u64 {
        match self.midpoint.map(u64::from) {
            Some(width) if width > 1 => midpoint(count, width),
            _ => self.rounded(count),
        }
    }

    /// What is shown for a count that is withheld.
    #[must_use]
    pub fn withheld_count(&self) -> Option<i64> {
        match self.withheld {
            Withheld::Null => None,
            Withheld::MinusMinimum => Some(-i64::from(self.k)),
        }
    }

    /// A sum stands on few persons: the largest hold too much of it, or what is left without the two largest would
    /// tell the second largest what the largest is. Both are rules on the sizes of contributions.
    #[must_use]
    pub fn is_dominated(&self, contributions: &[f64]) -> bool {
        let mut sizes: Vec<f64> = contributions.iter().map(|x| x.abs()).collect();
        if sizes.iter().any(|size| !size.is_finite()) {
            return true;
        }
        sizes.sort_unstable_by(|a, b| b.total_cmp(a));
        let total: f64 = sizes.iter().sum();
        if total <= 0.0 {
            return false;
        }
        let (n, share) = self.dominance;
        let largest: f64 = sizes.iter().take(n as usize).sum();
        let rest: f64 = sizes.iter().skip(2).sum();
        largest > share * total || rest < self.p_ratio * sizes[0]
    }
}

/// The midpoint of the interval of `width` that a count is in: 0, then 1 to 6 are 3, 7 to 12 are 9 for a width of 6.
#[must_use]
pub fn midpoint(count: u64, width: u64) -> u64 {
    if count == 0 || width == 0 {
        return 0;
    }
    (count - 1) / width * width + width / 2
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    /// OpenSAFELY's worked example: 3, 8, 16, 23 become redacted, 10, 15, 25, with a total of 50.
    #[test]
    fn opensafely_rounds_as_in_its_guide() {
        let profile = profile("opensafely").unwrap();
        let shown: Vec<_> = [3, 8, 16, 23].map(|count| profile.count(count)).to_vec();
        assert_eq!(shown, [None, Some(10), Some(15), Some(25)]);
        assert_eq!(shown.iter().flatten().sum::<u64>(), 50);
        let redacted = (0..=12).filter(|count| profile.count(*count).is_none());
        assert_eq!(redacted.max(), Some(7));
        // Midpoint 6 rounding of rates.
        let midpoints: Vec<u64> = [0, 1, 6, 7, 12, 13].map(|n| profile.in_share(n)).to_vec();
        assert_eq!(midpoints, [0, 3, 3, 9, 9, 15]);
    }

    #[test]
    fn every_profile_has_its_threshold() {
        for (name, last_hidden, first_shown) in [
            ("opensafely", 7, 8),
            ("cms", 10, 11),
            ("ohdsi", 4, 5),
            ("sacro", 9, 10),
            ("datashield", 2, 3),
        ] {
            let profile = profile(name).unwrap();
            assert_eq!(profile.count(last_hidden), None, "{name}");
            assert!(profile.count(first_shown).is_some(), "{name}");
        }
        assert!(profile("unheard of").is_none());
        assert_eq!(PROFILES.map(|name| profile(name).unwrap().name), PROFILES);
        assert_eq!(profile("ohdsi").unwrap().withheld_count(), Some(-5));
        assert_eq!(profile("cms").unwrap().count(1234), Some(1234));
    }

    #[test]
    fn sacro_finds_dominated_sums() {
        let sacro = profile("sacro").unwrap();
        let mut costs = vec![10.0; 20];
        assert!(!sacro.is_dominated(&costs));
        // The largest two hold more than 90 %.
        costs.extend([1000.0, 1000.0]);
        assert!(sacro.is_dominated(&costs));
        // NK passes, the p-ratio does not: without the two largest less than 10 % of the largest is left.
        let narrow = Profile {
            dominance: (1, 0.9),
            ..sacro.clone()
        };
        assert!(narrow.is_dominated(&[100.0, 90.0, 5.0, 4.0]));
        assert!(!narrow.is_dominated(&[100.0, 90.0, 6.0, 5.0]));
        assert!(sacro.is_dominated(&[f64::NAN, 1.0, 1.0]));
        assert!(!sacro.is_dominated(&[0.0; 12]));
    }
}
