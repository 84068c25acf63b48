//! payer_transitions.csv: payer_plan_period.

use super::mapping::{Edge, Entity, FileMapping, PATIENT, Route, Rule, Target};

/// When the insurance begins: a bare year in versions before 3, a moment in version 3, renamed after it.
const START: &str = "START_YEAR|START_DATE";
/// When it ends.
const END: &str = "END_YEAR|END_DATE";

/// A person's insurance over time, without the member's number and the owner's name.
pub(super) const PAYER_TRANSITIONS: FileMapping = FileMapping {
    file: "payer_transitions",
    defines: None,
    route: Route::Only,
    targets: &[Target {
        table: "payer_plan_period",
        domain: "Payer",
        when: None,
        cells: &[
            ("payer_plan_period_id", Rule::NextId),
            ("person_id", Rule::Ref(Entity::Person, PATIENT)),
            (
                "payer_plan_period_start_date",
                Rule::Edge(START, Edge::First),
            ),
            ("payer_plan_period_end_date", Rule::Edge(END, Edge::Last)),
            ("payer_concept_id", Rule::Constant(0)),
            ("payer_source_value", Rule::Cell("PAYER")),
            ("plan_source_value", Rule::PayerName("PAYER")),
            (
                "sponsor_source_value",
                Rule::Cell("OWNERSHIP|PLAN_OWNERSHIP"),
            ),
        ],
    }],
    beside: &[],
};
