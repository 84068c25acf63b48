//! Attrition as CSV: a line for each definition's entry events, rule and result.

use std::fmt::Write as _;

use crate::exec::Attrition;

/// Attrition of all definitions, one step a line. `*_meeting` are what meets this step's rule alone, `*_left` what
/// meets it and all before it, `*_gain` what would be gained without it.
#[must_use]
pub fn attrition_csv(attrition: &[Attrition]) -> String {
    let mut csv = "cohort_definition_id,step,name,events_meeting,persons_meeting,events_left,persons_left,events_gain,\
                   persons_gain\n"
        .to_owned();
    for cohort in attrition {
        let id = cohort.cohort_definition_id;
        let (events, persons) = (cohort.events, cohort.persons);
        // Writing to a string cannot fail.
        let _ = writeln!(
            csv,
            "{id},0,entry events,{events},{persons},{events},{persons},,"
        );
        for rule in &cohort.rules {
            let _ = writeln!(
                csv,
                "{id},{},{},{},{},{},{},{},{}",
                rule.rule,
                quoted(&rule.name),
                rule.events,
                rule.persons,
                rule.left_events,
                rule.left_persons,
                rule.gain_events,
                rule.gain_persons
            );
        }
    }
    csv
}

fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}
