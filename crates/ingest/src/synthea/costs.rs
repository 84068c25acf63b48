//! Costs of encounters, medications, immunizations and procedures: rows of cost beside theirs.
//!
//! `total_cost` is what the event itself cost, so that it adds up over the events of a visit; what a visit was
//! billed for with all that happened in it is its `total_charge`.

use super::mapping::{Rule, Target};

/// Recorded with the event, as in OHDSI's ETL.
const TYPE_COST: (&str, Rule) = ("cost_type_concept_id", Rule::Constant(32_814));
/// Synthea counts in US dollars.
const DOLLARS: (&str, Rule) = ("currency_concept_id", Rule::Constant(44_818_668));
const ID: (&str, Rule) = ("cost_id", Rule::NextId);
const EVENT: (&str, Rule) = ("cost_event_id", Rule::EventId);
const DOMAIN: (&str, Rule) = ("cost_domain_id", Rule::EventDomain);
const PAID: (&str, Rule) = ("paid_by_payer", Rule::Cell("PAYER_COVERAGE"));

const fn cost(when: &'static str, cells: &'static [(&'static str, Rule)]) -> Target {
    Target {
        table: "cost",
        domain: "Cost",
        when: Some(when),
        cells,
    }
}

/// Of an encounter.
pub(super) const VISIT_COST: Target = cost(
    "BASE_ENCOUNTER_COST|COST",
    &[
        ID,
        EVENT,
        DOMAIN,
        TYPE_COST,
        DOLLARS,
        ("total_charge", Rule::Cell("TOTAL_CLAIM_COST")),
        ("total_cost", Rule::Cell("BASE_ENCOUNTER_COST|COST")),
        PAID,
    ],
);

/// Of a medication, over all times it was dispensed.
pub(super) const MEDICATION_COST: Target = cost(
    "TOTALCOST|COST",
    &[
        ID,
        EVENT,
        DOMAIN,
        TYPE_COST,
        DOLLARS,
        ("total_cost", Rule::Cell("TOTALCOST|COST")),
        PAID,
    ],
);

const BASE: &[(&str, Rule)] = &[
    ID,
    EVENT,
    DOMAIN,
    TYPE_COST,
    DOLLARS,
    ("total_cost", Rule::Cell("BASE_COST|COST")),
];

/// Of a vaccine.
pub(super) const IMMUNIZATION_COST: Target = cost("BASE_COST|COST", BASE);

/// Of a procedure.
pub(super) const PROCEDURE_COST: Target = cost("BASE_COST|COST", BASE);
