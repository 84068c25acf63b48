//! Tables of counts and rates against published examples, with R's digits.

use columna_stats::rates::{PersonTime, RateInterval, rate_difference, rate_ratio};
use columna_stats::tables::exact::fisher;
use columna_stats::tables::mantel_haenszel::mantel_haenszel;
use columna_stats::tables::paired::mcnemar;
use columna_stats::tables::proportion::{Proportion, binomial_test};
use columna_stats::tables::{TwoByTwo, e_value};
use columna_stats::{Error, Estimate, Summary};

fn close(found: f64, expected: f64, tolerance: f64) {
    assert!(
        (found / expected - 1.0).abs() < tolerance,
        "{found} is not {expected}"
    );
}

fn table([a, b, c, d]: [u64; 4]) -> TwoByTwo {
    TwoByTwo {
        exposed_events: a,
        exposed_others: b,
        unexposed_events: c,
        unexposed_others: d,
    }
}

/// Fisher's lady and her eight cups. R 4.2.2: `fisher.test(matrix(c(3, 1, 1, 3), 2))`.
#[test]
fn tea() {
    let tea = fisher(&table([3, 1, 1, 3]), 0.95).unwrap();
    close(tea.p_value, 0.485_714_285_714_285_7, 1e-14);
    close(tea.p_greater, 0.242_857_142_857_142_85, 1e-14);
    close(tea.conditional.value, 6.408308867005793, 1e-9);
    close(tea.conditional.lower, 0.2117329153055029, 1e-9);
    close(tea.conditional.upper, 621.933_750_545_417_3, 1e-9);
}

/// Doll and Hill's smokers among lung cancer patients and controls (1950): 647, 2, 622, 27.
/// R: log odds ratio and Woolf's interval by hand, exp(log(647 * 27 / (2 * 622)) + c(-1, 1) * qnorm(0.975) * sqrt(sum(1 / x))).
#[test]
fn smokers() {
    let smokers = table([647, 622, 2, 27]);
    let ratio = smokers.odds_ratio(0.95).unwrap();
    close(ratio.value, 647.0 * 27.0 / (2.0 * 622.0), 1e-14);
    close(ratio.lower, 3.325_328_810_575_598, 1e-12);
    close(ratio.upper, 59.300_824_797_064_16, 1e-12);
}

/// R 4.2.2, help pages: `binom.test(682, 925, p = 0.75)`, `poisson.test(137, 24.19893)`,
/// `poisson.test(c(11, 21), c(800, 3011))`, `mcnemar.test` on the approval ratings (Agresti 1990, p. 350).
#[test]
fn examples_of_r() {
    let mendel = Proportion {
        events: 682,
        trials: 925,
    };
    close(binomial_test(682, 925, 0.75), 0.382_491_559_574_851_9, 1e-9);
    let exact = mendel.clopper_pearson(0.95).unwrap();
    close(exact.lower, 0.707_668_264_079_039, 1e-9);
    close(exact.upper, 0.765_406_558_241_525_3, 1e-9);
    let one = PersonTime {
        events: 137,
        time: 24.19893,
    }
    .rate(RateInterval::Exact, 0.95)
    .unwrap();
    close(one.lower, 4.753_124_804_848_748, 1e-9);
    close(one.upper, 6.692_709_334_176_071, 1e-9);
    let (lone, crowd) = (
        PersonTime {
            events: 11,
            time: 800.0,
        },
        PersonTime {
            events: 21,
            time: 3011.0,
        },
    );
    let two = rate_ratio(lone, crowd, 0.95).unwrap();
    close(two.p_value, 0.079_668_633_032_329_52, 1e-9);
    close(two.ratio.lower, 0.858_426_403_391_639_2, 1e-9);
    close(two.ratio.upper, 4.277_265_943_654_071, 1e-9);
    let ratings = mcnemar(150, 86);
    close(ratings.corrected.statistic, 16.817_796_610_169_49, 1e-12);
    close(ratings.uncorrected.statistic, 17.355_932_203_389_83, 1e-12);
}

/// VanderWeele and Ding (2017): a risk ratio of 3.9 (1.8 to 8.7) has E-values 7.26 and 3.0.
#[test]
fn breast_feeding() {
    let (point, bound) = e_value(Estimate {
        value: 3.9,
        lower: 1.8,
        upper: 8.7,
    });
    close(point, 7.26, 1e-3);
    close(bound, 3.0, 1e-2);
    let protective = e_value(Estimate {
        value: 0.8,
        lower: 0.6,
        upper: 1.1,
    });
    assert_eq!(protective.1, 1.0);
}

#[test]
fn nothing_seen_is_not_zero() {
    let none = TwoByTwo::default();
    assert!(none.is_empty());
    assert!(none.odds_ratio(0.95).unwrap().value.is_nan());
    assert!(none.risk_difference(0.95).unwrap().value.is_nan());
    assert!(
        PersonTime::default()
            .rate(RateInterval::Exact, 0.95)
            .unwrap()
            .value
            .is_nan()
    );
    assert!(
        mantel_haenszel(&[], 0.95)
            .unwrap()
            .odds_ratio
            .value
            .is_nan()
    );
    let unexposed_only = table([0, 0, 3, 4]);
    assert!(unexposed_only.risk_ratio(0.95).unwrap().value.is_nan());
    assert_eq!(fisher(&unexposed_only, 0.95).unwrap().p_value, 1.0);
}

#[test]
fn one_empty_cell() {
    let empty = table([5, 5, 0, 10]);
    let odds = empty.odds_ratio(0.95).unwrap();
    assert!(odds.value.is_infinite() && odds.lower.is_nan() && odds.upper.is_nan());
    let score = empty.odds_ratio_score(0.95).unwrap();
    assert!(score.lower > 0.0 && score.upper.is_infinite());
    assert!(
        fisher(&empty, 0.95)
            .unwrap()
            .conditional
            .upper
            .is_infinite()
    );
    let rate = PersonTime {
        events: 0,
        time: 100.0,
    }
    .rate(RateInterval::Byar, 0.95)
    .unwrap();
    assert!(rate.lower == 0.0 && rate.upper > 0.0);
}

#[test]
fn a_level_outside_its_range_is_refused() {
    for level in [0.0, 1.0, 1.5, -0.5, f64::NAN] {
        assert_eq!(
            table([1, 2, 3, 4]).odds_ratio(level),
            Err(Error::InvalidConfidenceLevel)
        );
        assert_eq!(
            fisher(&table([1, 2, 3, 4]), level),
            Err(Error::InvalidConfidenceLevel)
        );
        let x = PersonTime {
            events: 1,
            time: 1.0,
        };
        assert_eq!(
            rate_difference(x, x, level),
            Err(Error::InvalidConfidenceLevel)
        );
    }
    assert_eq!(
        PersonTime::default().add(1, f64::NAN),
        Err(Error::NonFiniteTime)
    );
    assert_eq!(PersonTime::default().add(1, -1.0), Err(Error::NegativeTime));
}

#[test]
fn parts_make_the_whole() {
    let rows: Vec<(bool, bool)> = (0..97).map(|i| (i % 3 == 0, i % 5 < 2)).collect();
    let of = |rows: &[(bool, bool)]| {
        let mut table = TwoByTwo::default();
        rows.iter()
            .for_each(|(exposed, event)| table.add(*exposed, *event));
        table
    };
    for cut in 0..rows.len() {
        let mut left = of(&rows[..cut]);
        let right = of(&rows[cut..]);
        let mut swapped = right;
        swapped.merge(left);
        left.merge(right);
        assert_eq!(left, of(&rows));
        assert_eq!(swapped, left);
    }
}

/// A quarter of a million persons: the exact test must neither overflow nor take long.
#[test]
fn large_tables_stay_exact() {
    let large = table([1_000, 124_000, 900, 124_100]);
    let exact = fisher(&large, 0.95).unwrap();
    let chi = large.chi_squared_yates();
    close(exact.p_value, chi.p_value, 0.02);
    close(
        exact.conditional.value,
        large.odds_ratio(0.95).unwrap().value,
        1e-3,
    );
}

/// As R, which gives NaN for `0/0` and for every bound made from it.
#[test]
fn one_group_alone_has_no_interval() {
    let exposed = TwoByTwo {
        exposed_events: 5,
        exposed_others: 4,
        ..TwoByTwo::default()
    };
    let unexposed = TwoByTwo {
        unexposed_events: 3,
        unexposed_others: 4,
        ..TwoByTwo::default()
    };
    for table in [exposed, unexposed] {
        for found in [
            table.risk_difference(0.95),
            table.risk_difference_yates(0.95),
            table.risk_difference_score(0.95),
            table.risk_difference_miettinen_nurminen(0.95),
            table.risk_ratio_score(0.95),
            table.odds_ratio_score(0.95),
        ] {
            let found = found.unwrap();
            assert!(found.value.is_nan(), "{found:?}");
            assert!(found.lower.is_nan() && found.upper.is_nan(), "{found:?}");
        }
    }
}

/// Infections of the kidney data in R's survival by sex: `sum(sex == 2 & status == 1)` and so on. Limits by `uniroot` of the
/// score statistic in R 4.2, its risks by `uniroot` of the restricted score.
#[test]
fn score_limits_of_a_risk_difference() {
    let near = |found: f64, wanted: f64| (found - wanted).abs() < 1e-12;
    let kidney = table([40, 16, 18, 2]);
    let mee = kidney.risk_difference_score(0.95).unwrap();
    assert!(near(mee.lower, -0.343_116_027_083_14));
    assert!(near(mee.upper, 0.037_798_143_438_25));
    let corrected = kidney.risk_difference_miettinen_nurminen(0.95).unwrap();
    assert!(near(corrected.lower, -0.344_101_245_511_80));
    assert!(near(corrected.upper, 0.039_563_586_832_58));
}

/// Limits of tables with cells of 0, by direct maximisation of the restricted likelihood in R 4.2.
#[test]
fn score_limits_of_tables_with_zero_cells() {
    let near = |found: f64, wanted: f64| (found - wanted).abs() < 1e-8 * wanted.abs();
    let apart = table([2, 0, 0, 2]);
    let crossed = table([0, 2, 2, 0]);
    let one_zero = table([8, 0, 3, 6]);
    let odds = |table: &TwoByTwo| table.odds_ratio_score(0.95).unwrap();
    assert!(near(odds(&apart).lower, 1.084_245_475_6));
    assert!(odds(&apart).upper.is_infinite());
    assert!(near(odds(&crossed).upper, 0.922_300_366_943));
    assert!(near(odds(&one_zero).lower, 2.938_827_615_99));
    let difference = |table: &TwoByTwo| table.risk_difference_score(0.95).unwrap();
    assert!(near(difference(&apart).lower, 0.020_218_327_090_8));
    assert!(near(difference(&apart).upper, 1.0));
    assert!(near(difference(&crossed).upper, -0.020_218_327_090_8));
    assert!(near(difference(&one_zero).lower, 0.259_788_984_769));
}
