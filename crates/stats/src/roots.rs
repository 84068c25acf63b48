//! Roots of monotone functions and quantiles that are such roots, to full precision.
//!
//! [`root`] goes on until the bracket holds no other number; [`uniroot`] stops where R does.

use statrs::function::{
    beta::beta_reg,
    gamma::{gamma_lr, gamma_ur},
};

/// The x in `[low, high]` where `f` changes sign.
///
/// `f` must be monotone; where it does not change sign, the end where it is nearer to zero is returned.
/// Illinois steps, and a bisection whenever they are slow.
pub(crate) fn root(low: f64, high: f64, f: impl Fn(f64) -> f64) -> f64 {
    let (mut a, mut b) = (low, high);
    let (mut fa, mut fb) = (f(a), f(b));
    if fa == 0.0 {
        return a;
    }
    if fb == 0.0 {
        return b;
    }
    if fa.signum() == fb.signum() {
        return if fa.abs() < fb.abs() { a } else { b };
    }
    let mut last = 0;
    for step in 0..400 {
        let middle = 0.5 * (a + b);
        if middle <= a.min(b) || middle >= a.max(b) {
            break;
        }
        let secant = (a * fb - b * fa) / (fb - fa);
        let inside = secant > a.min(b) && secant < a.max(b);
        let x = if inside && step % 3 != 2 {
            secant
        } else {
            middle
        };
        let fx = f(x);
        if fx == 0.0 {
            return x;
        }
        if fx.signum() == fa.signum() {
            (a, fa) = (x, fx);
            fb *= if last == 1 { 0.5 } else { 1.0 };
            last = 1;
        } else {
            (b, fb) = (x, fx);
            fa *= if last == 2 { 0.5 } else { 1.0 };
            last = 2;
        }
    }
    0.5 * (a + b)
}

/// The root of an increasing or decreasing `f` on the positive numbers, found on the log scale.
///
/// The search goes outwards from 1, as far as it must: far out, statistics of tables lose their digits.
pub(crate) fn positive_root(f: impl Fn(f64) -> f64) -> f64 {
    let of_log = |log: f64| f(log.exp());
    let sign = of_log(0.0).signum();
    let (mut near, mut far) = (0.0, 1.0);
    while far < 50.0 {
        for side in [-1.0, 1.0] {
            if of_log(side * far).signum() == -sign {
                return root(side * near, side * far, of_log).exp();
            }
        }
        (near, far) = (far, 2.0 * far);
    }
    root(-50.0, 50.0, of_log).exp()
}

/// Where R's `uniroot` stops by default: .Machine$double.eps^0.25.
const UNIROOT_TOLERANCE: f64 = 1.220_703_125e-4;

/// The root that R's `uniroot` finds in `[low, high]`, to all its digits.
///
/// `uniroot` stops far from the exact root, and published results carry that; functions whose R counterpart is built
/// on it agree with R by following the same steps. Algorithm: Brent, Algorithms for Minimization without Derivatives
/// (1973), chapter 4, in the form of Netlib's `zeroin`. Without a change of sign the end where `f` is nearer to zero.
pub(crate) fn uniroot(low: f64, high: f64, f: impl Fn(f64) -> f64) -> f64 {
    let (mut a, mut b) = (low, high);
    let (mut fa, mut fb) = (f(a), f(b));
    if fa == 0.0 {
        return a;
    }
    if fa * fb > 0.0 {
        return if fa.abs() < fb.abs() { a } else { b };
    }
    let (mut c, mut fc) = (a, fa);
    for _ in 0..1000 {
        let previous = b - a;
        if fc.abs() < fb.abs() {
            (a, b, c) = (b, c, b);
            (fa, fb, fc) = (fb, fc, fb);
        }
        let tolerance = 2.0 * f64::EPSILON * b.abs() + UNIROOT_TOLERANCE / 2.0;
        let half = (c - b) / 2.0;
        if half.abs() <= tolerance || fb == 0.0 {
            break;
        }
        let mut step = half;
        if previous.abs() >= tolerance && fa.abs() > fb.abs() {
            let width = c - b;
            let ratio = fb / fa;
            // A secant through two points, or an inverse parabola through three.
            let (mut p, mut q) = if a == c {
                (width * ratio, 1.0 - ratio)
            } else {
                let (u, v) = (fa / fc, fb / fc);
                (
                    ratio * (width * u * (u - v) - (b - a) * (v - 1.0)),
                    (u - 1.0) * (v - 1.0) * (ratio - 1.0),
                )
            };
            if p > 0.0 {
                q = -q;
            } else {
                p = -p;
            }
            if p < 0.75 * width * q - (tolerance * q).abs() / 2.0 && p < (previous * q / 2.0).abs()
            {
                step = p / q;
            }
        }
        if step.abs() < tolerance {
            step = if step > 0.0 { tolerance } else { -tolerance };
        }
        (a, fa) = (b, fb);
        b += step;
        fb = f(b);
        if fb * fc > 0.0 {
            (c, fc) = (a, fa);
        }
    }
    b
}

/// The quantile of the gamma distribution with this shape and scale 1; `p` is the lower tail where `lower`.
pub(crate) fn gamma_quantile(p: f64, shape: f64, lower: bool) -> f64 {
    if shape <= 0.0 {
        return 0.0;
    }
    // Twenty standard deviations beyond the mean, and room for small shapes with their exponential tail.
    let high = shape + 40.0 * shape.sqrt() + 800.0;
    root(0.0, high, |x| {
        if x <= 0.0 {
            return if lower { -p } else { 1.0 - p };
        }
        if lower {
            gamma_lr(shape, x) - p
        } else {
            gamma_ur(shape, x) - p
        }
    })
}

/// The quantile of the beta distribution; `p` is the lower tail.
pub(crate) fn beta_quantile(p: f64, a: f64, b: f64) -> f64 {
    root(0.0, 1.0, |x| beta_reg(a, b, x) - p)
}

/// P(X ≤ x) of the Poisson distribution.
pub(crate) fn poisson_lower(x: f64, mean: f64) -> f64 {
    if x < 0.0 {
        0.0
    } else if mean <= 0.0 {
        1.0
    } else {
        gamma_ur(x + 1.0, mean)
    }
}

/// P(X ≥ x) of the Poisson distribution.
pub(crate) fn poisson_upper(x: f64, mean: f64) -> f64 {
    if x <= 0.0 {
        1.0
    } else if mean <= 0.0 {
        0.0
    } else {
        gamma_lr(x, mean)
    }
}

/// P(X ≤ x) of the binomial distribution with `n` trials.
pub(crate) fn binomial_lower(x: f64, n: f64, p: f64) -> f64 {
    if x < 0.0 {
        0.0
    } else if x >= n {
        1.0
    } else {
        beta_reg(n - x, x + 1.0, 1.0 - p)
    }
}

/// P(X ≥ x) of the binomial distribution with `n` trials.
pub(crate) fn binomial_upper(x: f64, n: f64, p: f64) -> f64 {
    if x <= 0.0 {
        1.0
    } else if x > n {
        0.0
    } else {
        beta_reg(x, n - x + 1.0, p)
    }
}

/// How much larger than the observed one a probability may be and still count as no larger; R's `relErr`.
pub(crate) const AS_LIKELY: f64 = 1.0 + 1e-7;

/// The smallest integer in `[from, to]` whose log density is at most `limit`, for a density that falls from
/// `from` on; `None` where there is none.
pub(crate) fn first_at_most(
    from: f64,
    to: f64,
    limit: f64,
    log_density: impl Fn(f64) -> f64,
) -> Option<f64> {
    if from > to || log_density(to) > limit {
        return None;
    }
    let (mut low, mut high) = (from, to);
    while low < high {
        let middle = ((low + high) / 2.0).floor();
        if log_density(middle) <= limit {
            high = middle;
        } else {
            low = middle + 1.0;
        }
    }
    Some(low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_agree_with_r() {
        // R: options(digits = 17); qgamma(0.025, 5); qgamma(0.975, 6); qbeta(0.025, 7, 44); qgamma(0.025, 1e5)
        for (mine, r) in [
            (gamma_quantile(0.025, 5.0, true), 1.6234863901184209),
            (gamma_quantile(0.025, 6.0, false), 11.668332079322672),
            (beta_quantile(0.025, 7.0, 44.0), 0.05819170034037211),
            (gamma_quantile(0.025, 1e5, true), 99_381.152_663_744_72),
        ] {
            assert!((mine / r - 1.0).abs() < 1e-11, "{mine} {r}");
        }
    }

    #[test]
    fn uniroot_stops_where_r_stops() {
        // R: options(digits = 17); uniroot(function(x) x^3 - 2, c(0, 2))$root; uniroot(function(x) exp(-x) - 0.3, c(0, 1000))$root
        let cube = uniroot(0.0, 2.0, |x| x * x * x - 2.0);
        assert!((cube - 1.2599338350608136).abs() < 1e-13, "{cube}");
        let exponential = uniroot(0.0, 1000.0, |x| (-x).exp() - 0.3);
        assert!(
            (exponential - 1.2039726906649553).abs() < 1e-13,
            "{exponential}"
        );
    }

    #[test]
    fn a_root_at_the_end_of_the_bracket_is_found() {
        assert!((root(0.0, 2.0, |x| x * x - 2.0) - 2f64.sqrt()).abs() < 1e-15);
        assert!((root(0.0, 1.0, |x| x - 2.0) - 1.0).abs() < f64::EPSILON);
        assert!((positive_root(|x| 1e-20 - x) / 1e-20 - 1.0).abs() < 1e-12);
    }
}
