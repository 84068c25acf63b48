//! What ends a report: limitations and provenance.

use crate::report::html::{Table, escape};
use crate::report::{Found, Section};
use crate::run::{RunRecord, StepStatus};
use crate::spec::{Kind, Spec, Study};

/// What readers must know before they believe it.
pub(in crate::report) fn limitations(spec: &Spec, found: &[Found<'_>]) -> Section {
    let mut part = Section::new("limitations", "Limitations");
    let mut items: Vec<String> = spec.limitations.clone();
    if spec
        .design
        .as_ref()
        .is_some_and(|design| design.comparator.is_some())
    {
        items.push("This is an observational comparison: confounders that were not recorded are not adjusted for.".to_owned());
    }
    items.push("Diagnoses, drugs and measurements are known as far as they were recorded; what is not recorded counts as absent.".to_owned());
    let subgroups = found.iter().any(|one| {
        matches!(
            one.analysis.kind,
            Kind::Subgroups { .. } | Kind::Sensitivity { .. }
        )
    });
    if subgroups {
        items.push("Intervals and p-values of subgroups and sensitivity analyses are not corrected for their number.".to_owned());
    }
    let list: String = items
        .iter()
        .map(|item| format!("<li>{}</li>", escape(item)))
        .collect();
    part.html = format!("<ul>{list}</ul>");
    part
}

/// What was run on which data.
pub(in crate::report) fn provenance(study: &Study, record: &RunRecord) -> Section {
    let mut part = Section::new("provenance", "Provenance");
    let facts = [
        (
            "Specification",
            study
                .path
                .file_name()
                .map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
        ),
        (
            "BLAKE3 of the specification",
            record.specification_hash.clone(),
        ),
        ("Snapshot", record.store.snapshot.to_string()),
        ("Hash of the snapshot", record.store.snapshot_hash.clone()),
        ("Software", format!("Columna {}", record.columna_version)),
        ("On behalf of", record.principal.clone()),
        (
            "BLAKE3 of the policy",
            record
                .policy
                .clone()
                .unwrap_or_else(|| "there is none".to_owned()),
        ),
        (
            "Purpose",
            record
                .purpose
                .clone()
                .filter(|text| !text.is_empty())
                .unwrap_or_else(|| "not stated".to_owned()),
        ),
        ("BLAKE3 of all results", record.hash()),
    ];
    let list: String = facts
        .iter()
        .map(|(name, value)| format!("<dt>{name}</dt><dd><code>{}</code></dd>", escape(value)))
        .collect();
    part.html = format!("<dl>{list}</dl>");
    part.p("The same specification on the same snapshot with the same version gives the same bytes, this page included. Times are in run.json.");
    let mut table = Table::new(
        "Files of the steps",
        &[("Step", false), ("File", false), ("BLAKE3", false)],
    );
    for step in record
        .steps
        .iter()
        .filter(|step| matches!(step.status, StepStatus::Computed | StepStatus::Reused))
    {
        for output in &step.outputs {
            table.row(vec![
                step.name.clone(),
                output.path.clone(),
                output.blake3[..16].to_owned(),
            ]);
        }
    }
    part.folded("Every file with its hash", &table);
    part.html.push_str(&format!(
        "<details><summary>The specification</summary><pre>{}</pre></details>",
        escape(&study.text)
    ));
    part
}
