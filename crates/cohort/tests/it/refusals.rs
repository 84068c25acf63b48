//! What is refused, by name and place, instead of being answered wrongly.

use columna_cohort::definition::parse;
use serde_json::{Value, json};

fn base() -> Value {
    json!({
        "ConceptSets": [{"id": 0, "name": "s", "expression": {"items": [{"concept": {"CONCEPT_ID": 1}}]}}],
        "PrimaryCriteria": {
            "CriteriaList": [{"DrugExposure": {"CodesetId": 0}}],
            "ObservationWindow": {"PriorDays": 0, "PostDays": 0},
            "PrimaryCriteriaLimit": {"Type": "All"},
        },
        "InclusionRules": [],
    })
}

#[test]
fn what_is_not_supported_is_refused_with_its_path() {
    let drug = |attribute: &str, value: Value| {
        let mut json = base();
        json["PrimaryCriteria"]["CriteriaList"][0]["DrugExposure"][attribute] = value;
        json
    };
    let top = |key: &str, value: Value| {
        let mut json = base();
        json[key] = value;
        json
    };
    let cases = [
        (
            drug("Agee", json!({})),
            "$.PrimaryCriteria.CriteriaList[0].DrugExposure.Agee",
        ),
        (
            drug("Age", json!({"Op": "about", "Value": 3})),
            "$.PrimaryCriteria.CriteriaList[0].DrugExposure.Age.Op",
        ),
        (
            drug("Age", json!({"Op": "bt", "Value": 3})),
            "$.PrimaryCriteria.CriteriaList[0].DrugExposure.Age",
        ),
        (
            drug(
                "OccurrenceStartDate",
                json!({"Op": "lt", "Value": "2010-02-30"}),
            ),
            "$.PrimaryCriteria.CriteriaList[0].DrugExposure.OccurrenceStartDate.Value",
        ),
        (top("InclusionRule", json!([])), "$.InclusionRule"),
        (top("inclusionRules", json!([])), "$.inclusionRules"),
        (
            top("ExpressionLimit", json!({"Type": "Second"})),
            "$.ExpressionLimit.Type",
        ),
        (
            top("EndStrategy", json!({"Never": {}})),
            "$.EndStrategy.Never",
        ),
        (
            top(
                "CollapseSettings",
                json!({"CollapseType": "NONE", "EraPad": 0}),
            ),
            "$.CollapseSettings.CollapseType",
        ),
        (
            top("CensoringCriteria", json!([{"LocationRegion": {}}])),
            "$.CensoringCriteria[0].LocationRegion",
        ),
        (
            top(
                "ConceptSets",
                json!([{"id": 0, "expression": {"items": []}}, {"id": 0, "expression": {"items": []}}]),
            ),
            "$.ConceptSets[1]",
        ),
        (
            top(
                "AdditionalCriteria",
                json!({"Type": "SOME", "CriteriaList": [], "Groups": [
                {"Type": "ALL", "CriteriaList": []}]}),
            ),
            "$.AdditionalCriteria.Type",
        ),
    ];
    for (json, path) in cases {
        let parsed = parse(&json.to_string(), 1, "test");
        assert!(parsed.is_refused(), "{path} runs");
        let refusing: Vec<&str> = parsed
            .problems
            .iter()
            .filter(|p| p.severity.refuses())
            .map(|p| p.path.as_str())
            .collect();
        assert_eq!(refusing, [path]);
    }
    assert!(!parse(&base().to_string(), 1, "test").is_refused());
}

#[test]
fn broken_json_has_its_line_and_column() {
    let parsed = parse("{\n  \"PrimaryCriteria\": }", 1, "test");
    let problem = &parsed.problems[0];
    assert_eq!((problem.place.line, problem.place.column), (2, 22));
    assert!(parsed.is_refused());
}
