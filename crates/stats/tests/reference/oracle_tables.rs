//! Tables of counts, rates and standardisation against the oracle.

use columna_stats::Estimate;
use columna_stats::description::quantile::{QuantileType, Values};
use columna_stats::rates::{
    PersonTime, RateInterval, Stratum, indirectly_standardized_rate, poisson_test, rate_ratio, smr,
    standardized_rate,
};
use columna_stats::tables::exact::{self, common_odds_ratio, fisher};
use columna_stats::tables::mantel_haenszel::mantel_haenszel;
use columna_stats::tables::paired::mcnemar;
use columna_stats::tables::proportion::{Proportion, binomial_test};
use columna_stats::tables::{ChiSquared, TwoByTwo, e_value};

use crate::oracle::Oracle;

const CLOSED: f64 = 1e-11;
const EXACT: f64 = 1e-9;
/// epiR searches the score interval of the risk difference by halving until 1e-7.
const HALVINGS: f64 = 2e-5;
/// epiR searches the score interval of the odds ratio in steps of 0.1 %.
const STEPS: f64 = 1e-3;
const LEVEL: f64 = 0.95;

fn counts(oracle: &Oracle, path: &str) -> Vec<u64> {
    oracle.numbers(path).iter().map(|x| *x as u64).collect()
}

fn bounds(estimate: Estimate) -> [f64; 2] {
    [estimate.lower, estimate.upper]
}

fn all(estimate: Estimate) -> [f64; 3] {
    [estimate.value, estimate.lower, estimate.upper]
}

pub(crate) fn two_by_two(oracle: &Oracle) {
    for key in oracle.keys("two_by_two") {
        let at = |name: &str| format!("two_by_two/{key}/{name}");
        let compare = |name: &str, found: &[f64], tolerance: f64| {
            if oracle.has(&at(name)) {
                oracle.compare(&at(name), found, tolerance);
            }
        };
        let n = counts(
            oracle,
            &at("table_rows_exposed_unexposed_cols_event_noevent"),
        );
        let table = TwoByTwo {
            exposed_events: n[0],
            exposed_others: n[1],
            unexposed_events: n[2],
            unexposed_others: n[3],
        };
        let exact::Exact {
            p_value,
            p_greater,
            p_less,
            conditional,
            mid_p,
        } = fisher(&table, LEVEL).unwrap();
        compare("fisher_p", &[p_value], EXACT);
        compare("fisher_p_less", &[p_less], EXACT);
        compare("fisher_p_greater", &[p_greater], EXACT);
        compare("fisher_conditional_or", &[conditional.value], EXACT);
        compare("fisher_or_ci", &bounds(conditional), EXACT);
        let test = |name: &str, test: ChiSquared| {
            compare(&format!("{name}/chisq"), &[test.statistic], CLOSED);
            compare(&format!("{name}/x2"), &[test.statistic], CLOSED);
            compare(&format!("{name}/p"), &[test.p_value], CLOSED);
        };
        test("prop_test_yates", table.chi_squared_yates());
        test("prop_test_nocorrect", table.chi_squared());
        test("chisq_yates", table.chi_squared_yates());
        test("chisq_pearson", table.chi_squared());
        let yates = table.risk_difference_yates(LEVEL).unwrap();
        compare("prop_test_yates/diff_ci", &bounds(yates), CLOSED);
        let wald = table.risk_difference(LEVEL).unwrap();
        compare("prop_test_nocorrect/diff_ci", &bounds(wald), CLOSED);
        compare("rd_wald/rd", &[wald.value], CLOSED);
        compare("rd_wald/ci", &bounds(wald), CLOSED);
        let paired = mcnemar(n[1], n[2]);
        compare("mcnemar/cc", &[paired.corrected.statistic], CLOSED);
        compare("mcnemar/nocc", &[paired.uncorrected.statistic], CLOSED);
        let odds = table.odds_ratio(LEVEL).unwrap();
        compare("or_wald/or", &[odds.value], CLOSED);
        compare("or_wald/ci", &bounds(odds), CLOSED);
        let risk = table.risk_ratio(LEVEL).unwrap();
        compare("rr_wald/rr", &[risk.value], CLOSED);
        compare("rr_wald/ci", &bounds(risk), CLOSED);
        let (point, bound) = e_value(risk);
        compare("evalue_rr/point", &[point], CLOSED);
        compare("evalue_rr/ci_limit", &[bound], CLOSED);
        compare("epiR_cohort/RR.strata.wald", &all(risk), CLOSED);
        compare("epiR_cohort/RR.strata.taylor", &all(risk), CLOSED);
        // epiR puts outcome and exposure the other way round here: its own point estimate is that of this table.
        let transposed = TwoByTwo {
            exposed_others: n[2],
            unexposed_events: n[1],
            ..table
        };
        compare(
            "epiR_cohort/RR.strata.score",
            &all(transposed.risk_ratio_score(LEVEL).unwrap()),
            EXACT,
        );
        compare("epiR_cohort/OR.strata.wald", &all(odds), CLOSED);
        compare(
            "epiR_cohort/OR.strata.score",
            &all(table.odds_ratio_score(LEVEL).unwrap()),
            STEPS,
        );
        compare("epiR_cohort/OR.strata.mle", &all(conditional), EXACT);
        let percent = |x: Estimate| all(x).map(|x| 100.0 * x);
        compare("epiR_cohort/ARisk.strata.wald", &percent(wald), CLOSED);
        compare(
            "epiR_cohort/ARisk.strata.score",
            &percent(table.risk_difference_score(LEVEL).unwrap()),
            HALVINGS,
        );
        compare(
            "epiR_cohort/AFRisk.strata.wald",
            &all(table.attributable_fraction(LEVEL).unwrap()),
            CLOSED,
        );
        if oracle.has(&at("epiR_cohort/OR.strata.cfield")) {
            // Without bounds in the oracle.
            oracle.mark(&at("epiR_cohort/OR.strata.cfield"));
        }
        compare("epitools_or_midp", &all(mid_p), EXACT);
    }
}

pub(crate) fn stratified(oracle: &Oracle) {
    let at = |name: &str| format!("mantel_haenszel/{name}");
    oracle.mark(&at("dim"));
    let strata: Vec<TwoByTwo> = counts(oracle, &at("data"))
        .chunks(4)
        .map(|n| TwoByTwo {
            exposed_events: n[0],
            unexposed_events: n[1],
            exposed_others: n[2],
            unexposed_others: n[3],
        })
        .collect();
    let pooled = mantel_haenszel(&strata, LEVEL).unwrap();
    oracle.compare(&at("common_or"), &[pooled.odds_ratio.value], CLOSED);
    oracle.compare(&at("or_ci"), &bounds(pooled.odds_ratio), CLOSED);
    oracle.compare(&at("chisq"), &[pooled.test.statistic], CLOSED);
    oracle.compare(&at("p"), &[pooled.test.p_value], CLOSED);
    oracle.compare(&at("chisq_cc"), &[pooled.test_corrected.statistic], CLOSED);
    oracle.compare(&at("p_cc"), &[pooled.test_corrected.p_value], CLOSED);
    let exact = common_odds_ratio(&strata, LEVEL).unwrap();
    oracle.compare(&at("exact_p"), &[exact.p_value], EXACT);
    oracle.compare(
        &at("exact_conditional_or"),
        &[exact.conditional.value],
        EXACT,
    );
    oracle.compare(&at("exact_ci"), &bounds(exact.conditional), EXACT);
    oracle.compare(&at("mh_rr"), &[pooled.risk_ratio.value], CLOSED);
    oracle.compare(
        &at("mh_rr_ci_greenland_robins"),
        &bounds(pooled.risk_ratio),
        CLOSED,
    );
    oracle.compare(&at("mh_rd"), &[pooled.risk_difference.value], CLOSED);
    oracle.compare(
        &at("mh_rd_ci_sato"),
        &bounds(pooled.risk_difference),
        CLOSED,
    );
    oracle.compare(&at("epiR/RR.mh.wald"), &all(pooled.risk_ratio), CLOSED);
    oracle.compare(&at("epiR/OR.mh.wald"), &all(pooled.odds_ratio), CLOSED);
    let percent = |x: Estimate| all(x).map(|x| 100.0 * x);
    oracle.compare(
        &at("epiR/ARisk.mh.sato"),
        &percent(pooled.risk_difference),
        CLOSED,
    );
    oracle.compare(
        &at("epiR/ARisk.mh.green"),
        &percent(pooled.risk_difference_greenland),
        CLOSED,
    );
    let test = |x: ChiSquared| [x.statistic, x.df, x.p_value];
    oracle.compare(
        &at("homogeneity_or/wRR.homog"),
        &test(pooled.homogeneity_risk_ratio),
        CLOSED,
    );
    oracle.compare(
        &at("homogeneity_or/wOR.homog"),
        &test(pooled.homogeneity_woolf),
        CLOSED,
    );
    oracle.compare(
        &at("homogeneity_or/bOR.homog"),
        &test(pooled.homogeneity_breslow_day),
        EXACT,
    );
}

pub(crate) fn rates(oracle: &Oracle) {
    for key in oracle.keys("poisson_rates") {
        let at = |name: &str| format!("poisson_rates/{key}/{name}");
        let events = counts(oracle, &at("events"))[0];
        let time = oracle.numbers(&at("persontime"))[0];
        let rate = PersonTime { events, time };
        let exact = |level: f64| rate.rate(RateInterval::Exact, level).unwrap();
        oracle.compare(&at("rate"), &[exact(LEVEL).value], CLOSED);
        oracle.compare(&at("exact_ci"), &bounds(exact(LEVEL)), EXACT);
        oracle.compare(&at("exact_ci90"), &bounds(exact(0.90)), EXACT);
        oracle.compare(&at("exact_ci99"), &bounds(exact(0.99)), EXACT);
        oracle.compare(
            &at("p_vs_rate_0_01"),
            &[poisson_test(events, 0.01 * time)],
            EXACT,
        );
        let byar = rate.rate(RateInterval::ByarMidpoint, LEVEL).unwrap();
        // A rate is not negative: epitools goes below zero at no events, we stop there.
        let expected: Vec<f64> = oracle
            .numbers(&at("byar"))
            .iter()
            .map(|x| x.max(0.0))
            .collect();
        oracle.compare_with(&at("byar"), &bounds(byar), &expected, CLOSED);
        let wald = rate.rate(RateInterval::Wald, LEVEL).unwrap();
        oracle.compare(&at("wald_normal_approx"), &bounds(wald), CLOSED);
        oracle.mark(&at("mid_p_note"));
    }
    for key in oracle.keys("rate_ratios") {
        let at = |name: &str| format!("rate_ratios/{key}/{name}");
        let x = oracle.numbers(&at("e1_t1_e0_t0"));
        let of = |events: f64, time: f64| PersonTime {
            events: events as u64,
            time,
        };
        let found = rate_ratio(of(x[0], x[1]), of(x[2], x[3]), LEVEL).unwrap();
        oracle.compare(&at("rate_ratio"), &[found.ratio.value], CLOSED);
        oracle.compare(&at("exact_ci"), &bounds(found.ratio), EXACT);
        oracle.compare(&at("p"), &[found.p_value], EXACT);
    }
    for key in oracle.keys("binomial") {
        let at = |name: &str| format!("binomial/{key}/{name}");
        let x = counts(oracle, &at("x_n"));
        let share = Proportion {
            events: x[0],
            trials: x[1],
        };
        oracle.compare(
            &at("clopper_pearson"),
            &bounds(share.clopper_pearson(LEVEL).unwrap()),
            EXACT,
        );
        oracle.compare(&at("p_half"), &[binomial_test(x[0], x[1], 0.5)], EXACT);
        oracle.compare(&at("wilson"), &bounds(share.wilson(LEVEL).unwrap()), CLOSED);
        oracle.compare(
            &at("wilson_cc"),
            &bounds(share.wilson_corrected(LEVEL).unwrap()),
            CLOSED,
        );
    }
}

pub(crate) fn standardisation(oracle: &Oracle) {
    let at = |name: &str| format!("standardisation/{name}");
    let column = |name: &str| oracle.numbers(&at(name));
    let (count, pop) = (column("count"), column("pop"));
    let (standard, standard_count) = (column("stdpop"), column("stdcount"));
    let strata: Vec<Stratum> = (0..count.len())
        .map(|i| Stratum {
            events: count[i] as u64,
            time: pop[i],
            standard: standard[i],
        })
        .collect();
    let direct = standardized_rate(&strata, LEVEL).unwrap();
    let events: f64 = count.iter().sum();
    let crude = events / pop.iter().sum::<f64>();
    oracle.compare(&at("direct/crude"), &[crude], CLOSED);
    oracle.compare(&at("direct/adj"), &[direct.value], CLOSED);
    oracle.compare(&at("direct/fay_feuer_gamma_lci"), &[direct.lower], EXACT);
    oracle.compare(&at("direct/fay_feuer_gamma_uci"), &[direct.upper], EXACT);

    let expected: f64 = (0..pop.len())
        .map(|i| standard_count[i] / standard[i] * pop[i])
        .sum();
    let standard_rate = standard_count.iter().sum::<f64>() / standard.iter().sum::<f64>();
    let adjusted =
        indirectly_standardized_rate(events as u64, expected, standard_rate, LEVEL).unwrap();
    let [rate, lower, upper] = all(adjusted);
    let ratio = 1.0 / standard_rate;
    oracle.mark(&at("indirect_epitools/names"));
    oracle.mark(&at("indirect_epitools/rate_names"));
    oracle.compare(
        &at("indirect_epitools/rate"),
        &[crude, rate, lower, upper],
        CLOSED,
    );
    let sir = [events, expected, rate * ratio, lower * ratio, upper * ratio];
    oracle.compare(&at("indirect_epitools/sir"), &sir, CLOSED);

    let observed = events as u64;
    let exact = smr(observed, expected, RateInterval::Exact, LEVEL).unwrap();
    oracle.compare(&at("smr/obs"), &[events], 0.0);
    oracle.compare(&at("smr/exp"), &[expected], CLOSED);
    oracle.compare(&at("smr/smr"), &[exact.ratio.value], CLOSED);
    oracle.compare(&at("smr/exact_ci"), &bounds(exact.ratio), EXACT);
    let byar = smr(observed, expected, RateInterval::Byar, LEVEL).unwrap();
    oracle.compare(&at("smr/byar_ci"), &bounds(byar.ratio), CLOSED);
    oracle.compare(&at("smr/p_exact"), &[exact.p_value], EXACT);
}

pub(crate) fn length_of_stay(oracle: &Oracle) {
    let (values, probabilities) = (oracle.numbers("los/values"), oracle.numbers("los/probs"));
    for kind in 1..=9 {
        let values: Values = values.iter().copied().collect();
        let found = values
            .quantiles(&probabilities, QuantileType::new(kind).unwrap())
            .unwrap();
        oracle.compare(&format!("los/quantile/type{kind}"), &found, CLOSED);
    }
}
