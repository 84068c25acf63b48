//! Conditions, drugs, procedures, observations, allergies and devices, with and without a vocabulary.

use super::*;

const CONDITIONS: &str = "START,STOP,PATIENT,ENCOUNTER,CODE,DESCRIPTION\n\
    2019-05-01,2019-05-09,ann,e1,195662009,Acute viral pharyngitis (disorder)\n\
    2019-05-01,,ann,e1,160903007,Full-time employment (finding)\n";

#[test]
fn conditions_without_a_vocabulary() {
    let output = read(&with("conditions.csv", CONDITIONS));
    let columns = [
        "condition_occurrence_id",
        "person_id",
        "condition_concept_id",
        "condition_start_date",
        "condition_end_date",
        "condition_type_concept_id",
        "provider_id",
        "visit_occurrence_id",
        "condition_source_value",
        "condition_source_concept_id",
        "synthea_description",
    ];
    let expected = texts(&[
        &[
            "1",
            "1",
            "0",
            "2019-05-01",
            "2019-05-09",
            "32827",
            "1",
            "1",
            "195662009",
            "0",
            "Acute viral pharyngitis (disorder)",
        ],
        &[
            "2",
            "1",
            "0",
            "2019-05-01",
            "",
            "32827",
            "1",
            "1",
            "160903007",
            "0",
            "Full-time employment (finding)",
        ],
    ]);
    assert_eq!(output.rows("condition_occurrence", &columns), expected);
    assert_eq!(output.count("observation"), 0);
}

const CONCEPT: &str = "concept_id\tconcept_name\tdomain_id\tvocabulary_id\tconcept_class_id\tstandard_concept\tconcept_code\tvalid_start_date\tvalid_end_date\tinvalid_reason\n\
    4112343\tAcute viral pharyngitis\tCondition\tSNOMED\tDisorder\tS\t195662009\t19700101\t20991231\t\n\
    4187096\tFull-time employment\tObservation\tSNOMED\tClinical Finding\tS\t160903007\t19700101\t20991231\t\n\
    4329847\tMyocardial infarction\tCondition\tSNOMED\tDisorder\tS\t22298006\t19700101\t20991231\t\n\
    3036277\tBody height\tMeasurement\tLOINC\tClinical Observation\tS\t8302-2\t19700101\t20991231\t\n\
    8582\tcentimeter\tUnit\tUCUM\tUnit\tS\tcm\t19700101\t20991231\t\n\
    40213145\tinfluenza\tDrug\tCVX\tCVX\tS\t140\t19700101\t20991231\t\n\
    44000001\told tablet\tDrug\tRxNorm\tClinical Drug\t\t665078\t19700101\t20200101\tU\n\
    19078461\tnew tablet\tDrug\tRxNorm\tClinical Drug\tS\t665079\t19700101\t20991231\t\n\
    4000002\tScreening\tMeasurement\tSNOMED\tProcedure\tS\t171207006\t19700101\t20991231\t\n";

const RELATIONSHIP: &str = "concept_id_1\tconcept_id_2\trelationship_id\tvalid_start_date\tvalid_end_date\tinvalid_reason\n\
    44000001\t19078461\tMaps to\t19700101\t20991231\t\n\
    44000001\t4112343\tIs a\t19700101\t20991231\t\n";

fn with_vocabulary(files: &[(&str, String)]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("CONCEPT.csv"), CONCEPT).unwrap();
    fs::write(folder.path().join("CONCEPT_RELATIONSHIP.csv"), RELATIONSHIP).unwrap();
    let options = IngestOptions {
        vocabulary: Some(folder.path().to_owned()),
        ..IngestOptions::default()
    };
    try_read(files, Stored::default(), &options).unwrap()
}

/// The employment is an observation, because its concept is one; each row keeps the number of its line.
#[test]
fn conditions_go_where_their_concept_belongs() {
    let output = with_vocabulary(&with("conditions.csv", CONDITIONS));
    let rows = output.rows(
        "condition_occurrence",
        &["condition_concept_id", "condition_source_concept_id"],
    );
    assert_eq!(rows, texts(&[&["4112343", "4112343"]]));
    let columns = [
        "observation_concept_id",
        "observation_date",
        "observation_source_value",
        "synthea_stop",
    ];
    assert_eq!(
        output.rows("observation", &columns),
        texts(&[&["4187096", "2019-05-01", "160903007", ""]])
    );
    let rows = output.rows("death", &["cause_concept_id", "cause_source_concept_id"]);
    assert_eq!(rows, texts(&[&["4329847", "4329847"]]));
}

const MEDICATIONS: &str = "START,STOP,PATIENT,PAYER,ENCOUNTER,CODE,DESCRIPTION,BASE_COST,PAYER_COVERAGE,DISPENSES,TOTALCOST,REASONCODE,REASONDESCRIPTION\n\
    2019-05-01T08:00:00Z,2019-05-31T08:00:00Z,ann,y1,e1,665078,Loratadine 5 MG Chewable Tablet,7.24,2.00,3,21.72,195662009,Acute viral pharyngitis\n\
    2019-05-01T08:00:00Z,,ann,y1,e1,665079,Other,7.24,0.00,1,7.24,,\n";

const IMMUNIZATIONS: &str = "DATE,PATIENT,ENCOUNTER,CODE,DESCRIPTION,BASE_COST\n\
    2019-05-01T08:00:00Z,ann,e1,140,Influenza,140.52\n";

/// 30 days from 1 to 31 May. The first and second medication are keys 1 and 3, the first immunization key 2: two files
/// fill the table. The retired 665078 maps to the concept of 665079.
#[test]
fn medications_and_immunizations_are_drug_exposures() {
    let mut files = with("medications.csv", MEDICATIONS);
    files.push(("immunizations.csv", IMMUNIZATIONS.to_owned()));
    let output = with_vocabulary(&files);
    let columns = [
        "drug_exposure_id",
        "drug_concept_id",
        "drug_source_concept_id",
        "drug_exposure_start_date",
        "drug_exposure_end_date",
        "verbatim_end_date",
        "drug_type_concept_id",
        "days_supply",
        "drug_source_value",
        "synthea_dispenses",
    ];
    let mut rows = output.rows("drug_exposure", &columns);
    rows.sort();
    let expected = texts(&[
        &[
            "1",
            "19078461",
            "44000001",
            "2019-05-01",
            "2019-05-31",
            "2019-05-31",
            "32838",
            "30",
            "665078",
            "3",
        ],
        &[
            "2",
            "40213145",
            "40213145",
            "2019-05-01",
            "2019-05-01",
            "2019-05-01",
            "32818",
            "",
            "140",
            "",
        ],
        &[
            "3",
            "19078461",
            "19078461",
            "2019-05-01",
            "2019-05-01",
            "",
            "32838",
            "",
            "665079",
            "1",
        ],
    ]);
    assert_eq!(rows, expected);
    let mut costs = output.rows(
        "cost",
        &[
            "cost_domain_id",
            "cost_event_id",
            "total_cost",
            "paid_by_payer",
        ],
    );
    costs.retain(|row| row[0] == "Drug");
    costs.sort();
    let expected = texts(&[
        &["Drug", "1", "21.72", "2.0"],
        &["Drug", "2", "140.52", ""],
        &["Drug", "3", "7.24", "0.0"],
    ]);
    assert_eq!(costs, expected);
}

#[test]
fn costs_have_keys_of_their_own() {
    let mut files = with("medications.csv", MEDICATIONS);
    files.push(("immunizations.csv", IMMUNIZATIONS.to_owned()));
    let output = read(&files);
    let mut keys = output.rows("cost", &["cost_id"]);
    assert_eq!(keys.len(), 6);
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 6);
}

/// A screening is a measurement in OMOP.
#[test]
fn procedures_and_their_measurements() {
    let text = "START,STOP,PATIENT,ENCOUNTER,CODE,DESCRIPTION,BASE_COST,REASONCODE,REASONDESCRIPTION\n\
        2019-05-01T08:00:00Z,2019-05-01T08:20:00Z,ann,e1,430193006,Medication Reconciliation,735.40,,\n\
        2019-05-01T08:20:00Z,2019-05-01T08:30:00Z,ann,e1,171207006,Depression screening,5.00,,\n";
    let output = with_vocabulary(&with("procedures.csv", text));
    let columns = [
        "procedure_concept_id",
        "procedure_date",
        "procedure_end_datetime",
        "procedure_source_value",
    ];
    let expected = texts(&[&["0", "2019-05-01", "2019-05-01T08:20:00", "430193006"]]);
    assert_eq!(output.rows("procedure_occurrence", &columns), expected);
    let rows = output.rows(
        "measurement",
        &[
            "measurement_concept_id",
            "measurement_datetime",
            "value_as_number",
        ],
    );
    assert_eq!(rows, texts(&[&["4000002", "2019-05-01T08:20:00", ""]]));
    let mut costs = output.rows("cost", &["cost_domain_id", "total_cost"]);
    costs.retain(|row| row[0] != "Visit");
    assert_eq!(
        costs,
        texts(&[&["Measurement", "5.0"], &["Procedure", "735.4"]])
            .into_iter()
            .rev()
            .collect::<Vec<_>>()
    );
}

const OBSERVATIONS: &str = "DATE,PATIENT,ENCOUNTER,CATEGORY,CODE,DESCRIPTION,VALUE,UNITS,TYPE\n\
    2019-05-01T08:00:00Z,ann,e1,vital-signs,8302-2,Body Height,127.9,cm,numeric\n\
    2019-05-01T08:00:00Z,ann,e1,survey,72166-2,Tobacco smoking status,Never smoker,,text\n\
    2019-05-01T08:00:00Z,ann,,,QALY,QALY,8.0,a,numeric\n\
    2019-05-01T08:00:00Z,ann,e1,survey,63586-2,Income,47384,null,text\n\
    2019-05-01T08:00:00Z,ann,e1,laboratory,56799-0,Address,1 Elm Street,,text\n";

#[test]
fn observations_without_a_vocabulary_go_by_their_type() {
    let output = read(&with("observations.csv", OBSERVATIONS));
    let columns = [
        "measurement_id",
        "value_as_number",
        "unit_concept_id",
        "unit_source_value",
        "value_source_value",
        "visit_occurrence_id",
        "synthea_category",
    ];
    // Two files fill the table, procedures first: the rows 0 and 2 have the keys 2 and 6.
    let expected = texts(&[
        &["2", "127.9", "0", "cm", "127.9", "1", "vital-signs"],
        &["6", "8.0", "0", "a", "8.0", "", ""],
    ]);
    assert_eq!(output.rows("measurement", &columns), expected);
    let columns = [
        "value_as_number",
        "value_as_string",
        "unit_concept_id",
        "observation_source_value",
    ];
    let expected = texts(&[
        &["", "Never smoker", "", "72166-2"],
        &["47384.0", "47384", "", "63586-2"],
        // The address is asked for, and not stored.
        &["", "", "", "56799-0"],
    ]);
    assert_eq!(output.rows("observation", &columns), expected);
    assert_eq!(
        output.finding("observations.csv", Some("VALUE"), FindingKind::Identifier),
        1
    );
}

#[test]
fn units_and_measurements_by_the_vocabulary() {
    let output = with_vocabulary(&with("observations.csv", OBSERVATIONS));
    let rows = output.rows(
        "measurement",
        &["measurement_concept_id", "unit_concept_id"],
    );
    assert_eq!(rows, texts(&[&["3036277", "8582"], &["0", "0"]]));
}

/// A food allergy in SNOMED CT, a drug allergy in RxNorm; reactions are kept beside them.
#[test]
fn allergies_are_observations_of_the_vocabulary_they_name() {
    let text = "START,STOP,PATIENT,ENCOUNTER,CODE,SYSTEM,DESCRIPTION,TYPE,CATEGORY,REACTION1,DESCRIPTION1,SEVERITY1\n\
        2019-05-01,,ann,e1,160903007,SNOMED-CT,x,allergy,food,418290006,Itching,MODERATE\n\
        2019-05-01,,ann,e1,665079,RxNorm,x,allergy,medication,,,\n\
        2019-05-01,,ann,e1,160903007,RxNorm,x,allergy,medication,,,\n";
    let output = with_vocabulary(&with("allergies.csv", text));
    let rows = output.rows(
        "observation",
        &[
            "observation_concept_id",
            "observation_source_value",
            "synthea_severity1",
        ],
    );
    let expected = texts(&[
        &["4187096", "160903007", "MODERATE"],
        &["19078461", "665079", ""],
        &["0", "160903007", ""],
    ]);
    assert_eq!(rows, expected);
}

#[test]
fn devices_and_supplies() {
    let devices = "START,STOP,PATIENT,ENCOUNTER,CODE,DESCRIPTION,UDI\n\
        2019-05-01T08:00:00Z,,ann,e1,705643001,Coronary artery stent,(01)13465995954590\n";
    let mut files = with("devices.csv", devices);
    let supplies = "DATE,PATIENT,ENCOUNTER,CODE,DESCRIPTION,QUANTITY\n2019-05-02,ann,e1,409534002,Respirator,24\n";
    files.push(("supplies.csv", supplies.to_owned()));
    let columns = [
        "device_exposure_id",
        "device_exposure_start_date",
        "device_exposure_end_date",
        "unique_device_id",
        "quantity",
    ];
    let expected = texts(&[
        &["1", "2019-05-01", "", "(01)13465995954590", ""],
        &["2", "2019-05-02", "2019-05-02", "", "24"],
    ]);
    assert_eq!(read(&files).rows("device_exposure", &columns), expected);
}

#[test]
fn a_vocabulary_of_other_codes_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let header = CONCEPT.lines().next().unwrap();
    let concept = format!("{header}\n1\tx\tCondition\tICD9CM\tx\tS\t7\t19700101\t20991231\t\n");
    fs::create_dir(folder.path().join("terms")).unwrap();
    fs::write(folder.path().join("terms/CONCEPT.csv"), concept).unwrap();
    let options = IngestOptions {
        vocabulary: Some(folder.path().join("terms")),
        ..IngestOptions::default()
    };
    let output = try_read(
        &with("conditions.csv", CONDITIONS),
        Stored::default(),
        &options,
    )
    .unwrap();
    assert_eq!(
        output.finding("terms/concept", None, FindingKind::MissingTable),
        1
    );
    assert_eq!(
        output.rows("condition_occurrence", &["condition_concept_id"]),
        [["0"], ["0"]]
    );
}

#[test]
fn a_table_of_something_else_is_no_vocabulary() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("CONCEPT.csv"), "concept_id,name\n1,x\n").unwrap();
    let options = IngestOptions {
        vocabulary: Some(folder.path().to_owned()),
        ..IngestOptions::default()
    };
    let error = try_read(&base(), Stored::default(), &options).unwrap_err();
    assert_eq!(
        error.to_string(),
        "CONCEPT.csv: column `domain_id` is missing: this is no OMOP vocabulary"
    );
}
