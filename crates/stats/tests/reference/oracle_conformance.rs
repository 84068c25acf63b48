//! Every quantity of the oracle, file by file, and the list of what is not covered.

use crate::oracle::{Oracle, folder};
use crate::{
    oracle_competing as competing, oracle_cox as cox, oracle_logrank as logrank,
    oracle_models as models, oracle_survival as survival, oracle_tables as tables,
};

fn conform(name: &'static str, compare: &[fn(&Oracle)], not_covered: &[&str]) {
    if folder().is_none() {
        return;
    }
    let oracle = Oracle::load(name);
    oracle.mark("_meta");
    for compare in compare {
        compare(&oracle);
    }
    oracle.finish(not_covered);
}

#[test]
fn lung() {
    conform(
        "lung",
        &[
            survival::lung,
            survival::person_years,
            survival::quantiles_of_time,
            logrank::lung,
            cox::lung,
            models::lung,
        ],
        &[
            "cox_exact",
            "concordance/n/cvar",
            "concordance/S/cvar",
            "concordance/S|G/cvar",
            "concordance/n|G2/cvar",
            "concordance/I/cvar",
            "concordance_ymax500/n/cvar",
            "concordance_ymax500/S/cvar",
            "concordance_ymax500/S|G/cvar",
            "concordance_ymax500/n|G2/cvar",
            "concordance_ymax500/I/cvar",
        ],
    );
}

#[test]
fn veteran() {
    conform(
        "veteran",
        &[survival::veteran, logrank::veteran, cox::veteran],
        &[],
    );
}

#[test]
fn ovarian() {
    conform(
        "ovarian",
        &[survival::ovarian, logrank::ovarian, cox::ovarian],
        &[],
    );
}

#[test]
fn heart() {
    conform(
        "heart",
        &[
            survival::heart,
            survival::person_years,
            logrank::heart,
            cox::heart,
        ],
        &[],
    );
}

#[test]
fn edge() {
    conform("edge_open", &[survival::edge, cox::edge], &[]);
}

#[test]
fn competing_risks() {
    conform(
        "cr_synth",
        &[cox::competing, competing::aalen_johansen, competing::cmprsk],
        &["finegray_weighted_coxph"],
    );
}

#[test]
fn tables_and_rates() {
    conform(
        "tables_rates_open",
        &[
            tables::two_by_two,
            tables::stratified,
            tables::rates,
            tables::standardisation,
            tables::length_of_stay,
            models::iptw,
        ],
        // epiR's Wald interval takes a·d where the variance of a risk has a·b (its var.p1): not reproduced.
        &[
            "mantel_haenszel/epiR/ARisk.mh.wald",
            "iptw/nearest_1to1_caliper0_2sd_ps_order_largest",
        ],
    );
}
