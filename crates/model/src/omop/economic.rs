//! Insurance and costs.

use super::define::{code, concept, date, float, free_text, id, key, link, person};
use crate::table::IdentifierClass::Direct;
use crate::table::{TableDef, TableKind::Economic};

/// Insurance of a person over time.
pub(super) const PAYER_PLAN_PERIOD: TableDef = TableDef::new("payer_plan_period", Economic)
    .person("person_id")
    .spans("payer_plan_period_start_date", "payer_plan_period_end_date")
    .coded("payer_concept_id")
    .columns(&[
        key("payer_plan_period_id"),
        person(),
        date("payer_plan_period_start_date").required(),
        date("payer_plan_period_end_date").required(),
        concept("payer_concept_id"),
        code("payer_source_value"),
        concept("payer_source_concept_id"),
        concept("plan_concept_id"),
        code("plan_source_value"),
        concept("plan_source_concept_id"),
        concept("sponsor_concept_id"),
        code("sponsor_source_value"),
        concept("sponsor_source_concept_id"),
        code("family_source_value").is(Direct),
        concept("stop_reason_concept_id"),
        free_text("stop_reason_source_value"),
        concept("stop_reason_source_concept_id"),
    ]);

/// Costs of any record; the domain tells the table.
pub(super) const COST: TableDef = TableDef::new("cost", Economic)
    .looked_up_by(&["cost_event_id"])
    .columns(&[
        key("cost_id"),
        id("cost_event_id").required(),
        code("cost_domain_id")
            .references("domain", "domain_id")
            .required(),
        concept("cost_type_concept_id").required(),
        concept("currency_concept_id"),
        float("total_charge"),
        float("total_cost"),
        float("total_paid"),
        float("paid_by_payer"),
        float("paid_by_patient"),
        float("paid_patient_copay"),
        float("paid_patient_coinsurance"),
        float("paid_patient_deductible"),
        float("paid_by_primary"),
        float("paid_ingredient_cost"),
        float("paid_dispensing_fee"),
        link("payer_plan_period_id", "payer_plan_period"),
        float("amount_allowed"),
        concept("revenue_code_concept_id"),
        code("revenue_code_source_value"),
        concept("drg_concept_id"),
        code("drg_source_value"),
    ]);
