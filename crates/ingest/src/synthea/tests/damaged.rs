//! Damaged rows, missing columns and the column sets of other versions.

use super::*;

fn reject(output: &Output) -> Vec<(u64, Option<&str>, &str)> {
    output
        .rejects
        .iter()
        .map(|(_, line, column, reason)| (*line, column.as_deref(), reason.as_str()))
        .collect()
}

/// Of seven conditions two are stored; every other one is refused with its line, the header being line 1.
#[test]
fn every_row_is_stored_or_refused() {
    let text = "START,STOP,PATIENT,ENCOUNTER,CODE,DESCRIPTION\n\
        2019-05-01,,ann,e1,1,good\n\
        2019-05-41,,ann,e1,1,no such day\n\
        2019-05-01,,zoe,e1,1,no such patient\n\
        2019-05-01,,,e1,1,no patient\n\
        2019-05-01,,ann\n\
        2019-05-01,,ann,e1,1,\"a \"quote\n\
        2019-05-01,never,ann,e9,1,bad stop\n\
        ,,ann,e9,1,no start and an encounter that is not there\n";
    let output = read(&with("conditions.csv", text));
    assert_eq!(output.read["conditions.csv"], 8);
    assert_eq!(output.count("condition_occurrence"), 2);
    let expected = [
        (3, Some("START"), "not a date"),
        (
            4,
            Some("PATIENT"),
            "no such patient in patients.csv or the store",
        ),
        (5, Some("PATIENT"), "required key is empty"),
        (6, None, "3 cells where the header has 6"),
        (7, Some("DESCRIPTION"), "text after a closing quote"),
        (8, Some("STOP"), "not a date"),
    ];
    assert_eq!(reject(&output), expected);
    // Refused rows are not noticed for their references too.
    assert_eq!(
        output.finding(
            "conditions.csv",
            Some("ENCOUNTER"),
            FindingKind::UnknownReference
        ),
        1
    );
    // A row keeps the key of its place: the first of one file, the eighth of the same.
    let rows = output.rows(
        "condition_occurrence",
        &["condition_occurrence_id", "condition_start_date"],
    );
    assert_eq!(rows, [["1", "2019-05-01"], ["8", ""]]);
}

#[test]
fn what_says_to_be_a_number_must_be_one() {
    let text = "DATE,PATIENT,ENCOUNTER,CODE,DESCRIPTION,VALUE,UNITS,TYPE\n\
        2019-05-01,ann,e1,8302-2,Body Height,tall,cm,numeric\n\
        2019-05-01,ann,e1,8302-2,Body Height,,cm,numeric\n";
    let output = read(&with("observations.csv", text));
    assert_eq!(reject(&output), [(2, Some("VALUE"), "not a number")]);
    assert_eq!(
        output.rows("measurement", &["value_as_number", "value_source_value"]),
        [["", ""]]
    );
}

/// A cost that is none refuses the event too: a row is stored as a whole or not at all.
#[test]
fn a_row_is_refused_with_what_is_beside_it() {
    let text = "DATE,PATIENT,ENCOUNTER,CODE,DESCRIPTION,BASE_COST\n\
        2019-05-01,ann,e1,140,Influenza,free\n\
        2019-05-01,ann,e1,140,Influenza,\n";
    let output = read(&with("immunizations.csv", text));
    assert_eq!(reject(&output), [(2, Some("BASE_COST"), "not a number")]);
    assert_eq!(output.count("drug_exposure"), 1);
    assert_eq!(
        output.rows("cost", &["cost_domain_id"]),
        [["Visit"], ["Visit"], ["Visit"]]
    );
}

#[test]
fn a_patient_twice_keeps_one_number() {
    let text = format!(
        "{PATIENTS}ann,1981-01-01,,,,,,white,nonhispanic,F,,,,,\n,1981-01-01,,,,,,white,nonhispanic,F,,,,,\n"
    );
    let output = read(&with("patients.csv", &text));
    assert_eq!(output.rows("person", &["person_id"]), [["1"], ["2"], ["1"]]);
    assert_eq!(reject(&output), [(5, Some("Id"), "required key is empty")]);
}

/// Rejected rows are kept for the user to mend, and names, numbers and addresses are not kept anywhere.
#[test]
fn a_rejected_row_does_not_tell_who_it_is_about() {
    let patients = format!(
        "{PATIENTS}cid,1980-02-31,,999-50-8138,Cid,\"Lee, Jr\",,white,nonhispanic,M,,\"Boston, MA\",,,\ndan,Dan,Day\n"
    );
    let mut files = with("patients.csv", &patients);
    let observations = "DATE,PATIENT,ENCOUNTER,CODE,DESCRIPTION,VALUE,UNITS,TYPE\n\
        x,ann,e1,56799-0,Address,1 Elm Street,,text\n\
        x,ann,e1,8302-2,Body Height,127,cm,numeric\n";
    files.push(("observations.csv", observations.to_owned()));
    let output = read(&files);
    let expected = [
        "x,ann,e1,56799-0,Address,[left out],,text",
        "x,ann,e1,8302-2,Body Height,127,cm,numeric",
        "cid,1980-02-31,,[left out],[left out],[left out],,white,nonhispanic,M,,\"Boston, MA\",,,",
        "[left out]",
    ];
    assert_eq!(output.raw, expected);
}

#[test]
fn a_missing_column_is_named() {
    let text = "STOP,PATIENT,ENCOUNTER,CODE,DESCRIPTION\n,ann,e1,1,x\n";
    let error = try_read(
        &with("conditions.csv", text),
        Stored::default(),
        &IngestOptions::default(),
    )
    .unwrap_err();
    let expected = "conditions.csv: column `START` is missing: Synthea's CSV export has it; export the file again";
    assert_eq!(error.to_string(), expected);
    assert!(error.is_user());
}

/// Version 2.5: procedures have one DATE, encounters one COST and no PAYER, observations no CATEGORY, patients no
/// COUNTY; names in lower case.
#[test]
fn columns_of_other_versions() {
    let patients = "ID,birthdate,deathdate,ssn,race,ethnicity,gender,address\nann,1980-02-29,,1,white,irish,F,1 Elm Street\n";
    let mut files = with("patients.csv", patients);
    files.retain(|(name, _)| *name == "patients.csv");
    let encounters = "id,start,stop,patient,provider,encounterclass,code,description,cost,reasoncode\n\
        e1,2019-05-01T08:00:00Z,2019-05-01T08:30:00Z,ann,p1,snf,1,x,129.16,\n";
    files.push(("encounters.csv", encounters.to_owned()));
    let procedures =
        "date,patient,encounter,code,description,cost\n2019-05-01T08:00:00Z,ann,e1,1,x,5.5\n";
    files.push(("procedures.csv", procedures.to_owned()));
    let observations = "date,patient,encounter,code,description,value,units,type\n2019-05-01,ann,e1,8302-2,x,1.5,m,numeric\n";
    files.push(("observations.csv", observations.to_owned()));
    let output = read(&files);
    assert!(output.rejects.is_empty());
    assert_eq!(
        output.rows(
            "person",
            &["person_id", "ethnicity_concept_id", "location_id"]
        ),
        [["1", "0", ""]]
    );
    assert_eq!(
        output.rows("visit_occurrence", &["visit_concept_id", "care_site_id"]),
        [["8863", ""]]
    );
    let rows = output.rows(
        "procedure_occurrence",
        &["procedure_datetime", "procedure_end_date"],
    );
    assert_eq!(rows, [["2019-05-01T08:00:00", ""]]);
    assert_eq!(output.rows("measurement", &["value_as_number"]), [["1.5"]]);
    let mut costs = output.rows("cost", &["cost_domain_id", "total_cost"]);
    costs.sort();
    assert_eq!(costs, [["Procedure", "5.5"], ["Visit", "129.16"]]);
}

/// Newer versions: MIDDLE, FIPS and INCOME for patients, SYSTEM for conditions, dates of plans under new names.
#[test]
fn columns_of_newer_versions() {
    let patients = "Id,BIRTHDATE,DEATHDATE,SSN,FIRST,MIDDLE,LAST,RACE,ETHNICITY,GENDER,CITY,STATE,COUNTY,FIPS,ZIP,INCOME\n\
        ann,1980-02-29,,1,Ann,May,Lee,white,nonhispanic,F,Boston,Massachusetts,Suffolk,25025,02115,47384\n";
    let mut files = with("patients.csv", patients);
    let conditions = "START,STOP,PATIENT,ENCOUNTER,SYSTEM,CODE,DESCRIPTION\n2019-05-01,,ann,e1,http://snomed.info/sct,1,x\n";
    files.push(("conditions.csv", conditions.to_owned()));
    let plans = "PATIENT,MEMBERID,START_DATE,END_DATE,PAYER,SECONDARY_PAYER,PLAN_OWNERSHIP,OWNER_NAME\n\
        ann,m,2014-10-14T04:17:47Z,2015-10-20T04:17:47Z,y1,,Self,Ann Lee\n";
    files.push(("payer_transitions.csv", plans.to_owned()));
    let output = read(&files);
    assert_eq!(
        output.rows("person", &["synthea_income", "synthea_fips"]),
        [["47384", "25025"]]
    );
    assert_eq!(
        output.finding("patients.csv", Some("MIDDLE"), FindingKind::Identifier),
        1
    );
    assert_eq!(output.count("condition_occurrence"), 1);
    let rows = output.rows(
        "payer_plan_period",
        &["payer_plan_period_end_date", "sponsor_source_value"],
    );
    assert_eq!(rows, [["2015-10-20", "Self"]]);
}

/// The same rows, with byte order mark, quotes, CRLF and compression.
#[test]
fn files_written_by_other_tools() {
    let text = "\u{feff}\"START\",\"STOP\",\"PATIENT\",\"ENCOUNTER\",\"CODE\",\"DESCRIPTION\"\r\n\
        \"2019-05-01\",\"\",\"ann\",\"e1\",\"1\",\"of \"\"two\"\"\nlines\"\r\n";
    let output = read(&with("conditions.csv", text));
    let rows = output.rows(
        "condition_occurrence",
        &["condition_end_date", "synthea_description"],
    );
    assert_eq!(rows, [["", "of \"two\"\nlines"]]);
}

#[test]
fn other_sources_are_not_taken_for_synthea() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("patients.csv"), "Id,NAME\n1,x\n").unwrap();
    assert!(!super::super::is_synthea(&Source::discover(folder.path()).unwrap()).unwrap());
    fs::write(folder.path().join("patients.csv"), PATIENTS).unwrap();
    assert!(super::super::is_synthea(&Source::discover(folder.path()).unwrap()).unwrap());
    fs::write(folder.path().join("person.csv"), "person_id\n1\n").unwrap();
    assert!(!super::super::is_synthea(&Source::discover(folder.path()).unwrap()).unwrap());
}
