//! Pointwise confidence intervals of a survival probability, in R's five types.
//!
//! With p the estimate, s the standard error of log p and z the normal quantile:
//! plain p ± z·s·p · log exp(log p ± z·s) · log-log exp(−exp(log(−log p) ± z·s/log p)) ·
//! logit of log(p/(1−p)) ± z·s/(1−p) · arcsin sin²(asin √p ± ½·z·s·√(p/(1−p))).
//! Source: Klein and Moeschberger, Survival Analysis (2003), section 4.3; R survival, `survfit_confint`.
//! Where p = 1 nothing has happened yet and log-log and logit have no width: [1, 1], as survival 3.8 gives.

/// How the interval around a survival probability is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ConfType {
    /// p ± z·se(p), cut to [0, 1].
    Plain,
    /// On the cumulative hazard scale; R's default.
    #[default]
    Log,
    /// On the log hazard scale; stays inside (0, 1).
    LogLog,
    /// On the log odds scale.
    Logit,
    /// Variance-stabilising.
    Arcsin,
}

impl ConfType {
    /// All types, in R's order.
    pub const ALL: [Self; 5] = [
        Self::Plain,
        Self::Log,
        Self::LogLog,
        Self::Logit,
        Self::Arcsin,
    ];

    /// The type's name in R and in SQL.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Log => "log",
            Self::LogLog => "log-log",
            Self::Logit => "logit",
            Self::Arcsin => "arcsin",
        }
    }

    /// The type of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|conf_type| conf_type.name() == name)
    }

    /// The interval around `p`, given the standard error of log p and the normal quantile `z`.
    ///
    /// Undefined bounds are NaN: everywhere at p = 0, where the variance of log p is not finite.
    pub(crate) fn interval(self, p: f64, se_log: f64, z: f64) -> (f64, f64) {
        if p == 0.0 && self != Self::Plain {
            return (f64::NAN, f64::NAN);
        }
        match self {
            Self::Plain => {
                let half = z * se_log * p;
                // Not `max`/`min`, which would turn an undefined bound into 0 or 1.
                let (lower, upper) = (p - half, p + half);
                (
                    if lower < 0.0 { 0.0 } else { lower },
                    if upper > 1.0 { 1.0 } else { upper },
                )
            }
            Self::Log => {
                let half = z * se_log;
                let upper = (p.ln() + half).exp();
                ((p.ln() - half).exp(), if upper > 1.0 { 1.0 } else { upper })
            }
            _ if p >= 1.0 => (1.0, 1.0),
            Self::LogLog => {
                let half = z * se_log / p.ln();
                let centre = (-p.ln()).ln();
                (
                    (-(centre - half).exp()).exp(),
                    (-(centre + half).exp()).exp(),
                )
            }
            Self::Logit => {
                let half = z * se_log * (1.0 + p / (1.0 - p));
                let centre = (p / (1.0 - p)).ln();
                (
                    1.0 - 1.0 / (1.0 + (centre - half).exp()),
                    1.0 - 1.0 / (1.0 + (centre + half).exp()),
                )
            }
            Self::Arcsin => {
                let half = 0.5 * z * se_log * (p / (1.0 - p)).sqrt();
                let centre = p.sqrt().asin();
                let lower = (centre - half).max(0.0).sin();
                let upper = (centre + half).min(std::f64::consts::FRAC_PI_2).sin();
                (lower * lower, upper * upper)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_happened_yet_has_no_width() {
        for conf_type in ConfType::ALL {
            assert_eq!(
                conf_type.interval(1.0, 0.0, 1.96),
                (1.0, 1.0),
                "{conf_type:?}"
            );
        }
    }

    #[test]
    fn nobody_left_has_no_interval() {
        for conf_type in ConfType::ALL {
            let (lower, upper) = conf_type.interval(0.0, f64::INFINITY, 1.96);
            assert!(lower.is_nan() && upper.is_nan(), "{conf_type:?}");
        }
    }

    #[test]
    fn names_are_round() {
        for conf_type in ConfType::ALL {
            assert_eq!(ConfType::from_name(conf_type.name()), Some(conf_type));
        }
        assert_eq!(ConfType::from_name("wald"), None);
    }
}
