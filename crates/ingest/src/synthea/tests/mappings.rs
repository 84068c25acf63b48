//! One fixture per mapping rule, with the rows that it must give.

use super::*;

fn texts(rows: &[&[&str]]) -> Vec<Vec<String>> {
    rows.iter().map(|row| row.iter().map(|cell| (*cell).to_owned()).collect()).collect()
}

/// F 8532, M 8507; white 8527, native has no concept of OHDSI's list; hispanic 38003563. Both live in one place.
#[test]
fn patients_are_persons_and_deaths() {
    let output = read(&base());
    let columns = [
        "person_id", "gender_concept_id", "year_of_birth", "month_of_birth", "day_of_birth", "birth_datetime",
        "race_concept_id", "ethnicity_concept_id", "location_id", "person_source_value", "race_source_value", "synthea_marital",
    ];
    let expected = texts(&[
        &["1", "8532", "1980", "2", "29", "1980-02-29T00:00:00", "8527", "38003564", "1", "ann", "white", "M"],
        &["2", "8507", "1950", "7", "1", "1950-07-01T00:00:00", "0", "38003563", "1", "bob", "native", ""],
    ]);
    assert_eq!(output.rows("person", &columns), expected);
    // The cause is the reason of the encounter that certified the death; without a vocabulary its concepts are 0.
    let columns = [
        "person_id", "death_date", "death_type_concept_id", "cause_concept_id", "cause_source_value", "cause_source_concept_id",
    ];
    assert_eq!(output.rows("death", &columns), texts(&[&["2", "2020-03-04", "32817", "0", "22298006", "0"]]));
}

#[test]
fn what_identifies_a_person_is_left_out_and_named() {
    let output = read(&base());
    for column in ["SSN", "FIRST", "LAST", "ADDRESS"] {
        assert_eq!(output.finding("patients.csv", Some(column), FindingKind::Identifier), 1, "{column}");
    }
    for column in ["NAME", "ADDRESS", "LAT", "LON"] {
        assert_eq!(output.finding("providers.csv", Some(column), FindingKind::Identifier), 1, "{column}");
    }
    for batch in output.tables.values() {
        for column in batch.columns() {
            for row in 0..batch.num_rows() {
                let cell = array_value_to_string(column, row).unwrap();
                for secret in ["999-50", "Lee", "Eve", "Elm Street", "617555"] {
                    assert!(!cell.contains(secret), "{secret}");
                }
            }
        }
    }
}

/// ann: 2019-05-01 to 2020-01-02, the end of the second; bob: one encounter without an end.
#[test]
fn encounters_are_visits_with_periods_and_costs() {
    let output = read(&base());
    let columns = [
        "visit_occurrence_id", "person_id", "visit_concept_id", "visit_start_date", "visit_start_datetime", "visit_end_date",
        "visit_end_datetime", "visit_type_concept_id", "provider_id", "care_site_id", "visit_source_value", "synthea_encounterclass",
        "synthea_reasoncode",
    ];
    let expected = texts(&[
        &[
            "1", "1", "9202", "2019-05-01", "2019-05-01T08:00:00", "2019-05-01", "2019-05-01T08:30:00", "32827", "1", "1", "e1",
            "", "195662009",
        ],
        &[
            "2", "1", "9201", "2019-12-31", "2019-12-31T23:30:00", "2020-01-02", "2020-01-02T00:15:00", "32827", "", "1", "e2",
            "", "",
        ],
        &[
            "3", "2", "5083", "2020-03-04", "2020-03-04T01:00:00", "2020-03-04", "2020-03-04T01:00:00", "32827", "", "1", "e3",
            "", "22298006",
        ],
    ]);
    let mut rows = output.rows("visit_occurrence", &columns);
    for (row, class) in rows.iter_mut().zip(["ambulatory", "inpatient", "virtual"]) {
        assert_eq!(std::mem::take(&mut row[11]), class);
    }
    assert_eq!(rows, expected);
    // p9 of the second encounter is in no file; the third names nobody.
    assert_eq!(output.finding("encounters.csv", Some("PROVIDER"), FindingKind::UnknownReference), 1);

    let columns = ["person_id", "observation_period_start_date", "observation_period_end_date", "period_type_concept_id"];
    let expected = texts(&[&["1", "2019-05-01", "2020-01-02", "32882"], &["2", "2020-03-04", "2020-03-04", "32882"]]);
    assert_eq!(output.rows("observation_period", &columns), expected);

    let columns = ["cost_event_id", "cost_domain_id", "total_charge", "total_cost", "paid_by_payer", "currency_concept_id"];
    let expected = texts(&[
        &["1", "Visit", "3798.09", "77.49", "10.0", "44818668"],
        &["2", "Visit", "200.0", "100.0", "0.0", "44818668"],
        &["3", "Visit", "1.0", "1.0", "0.0", "44818668"],
    ]);
    assert_eq!(output.rows("cost", &columns), expected);
}

#[test]
fn organizations_and_providers() {
    let output = read(&base());
    let rows = output.rows("care_site", &["care_site_id", "care_site_name", "location_id", "care_site_source_value"]);
    assert_eq!(rows, texts(&[&["1", "CITY HOSPITAL", "2", "o1"]]));
    let columns = ["provider_id", "provider_name", "specialty_concept_id", "care_site_id", "gender_concept_id", "provider_source_value"];
    assert_eq!(output.rows("provider", &columns), texts(&[&["1", "", "38004446", "1", "8532", "p1"]]));
    let columns = ["location_id", "address_1", "city", "state", "county", "zip", "latitude", "location_source_value"];
    let expected = texts(&[
        &["1", "", "Boston", "Massachusetts", "Suffolk", "02115", "", "Boston|Massachusetts|Suffolk|02115"],
        &["2", "", "Boston", "MA", "", "02115", "", "Boston|MA||02115"],
    ]);
    assert_eq!(output.rows("location", &columns), expected);
}

const CONDITIONS: &str = "START,STOP,PATIENT,ENCOUNTER,CODE,DESCRIPTION\n\
    2019-05-01,2019-05-09,ann,e1,195662009,Acute viral pharyngitis (disorder)\n\
    2019-05-01,,ann,e1,160903007,Full-time employment (finding)\n";

#[test]
fn conditions_without_a_vocabulary() {
    let output = read(&with("conditions.csv", CONDITIONS));
    let columns = [
        "condition_occurrence_id", "person_id", "condition_concept_id", "condition_start_date", "condition_end_date",
        "condition_type_concept_id", "provider_id", "visit_occurrence_id", "condition_source_value",
        "condition_source_concept_id", "synthea_description",
    ];
    let expected = texts(&[
        &["1", "1", "0", "2019-05-01", "2019-05-09", "32827", "1", "1", "195662009", "0", "Acute viral pharyngitis (disorder)"],
        &["2", "1", "0", "2019-05-01", "", "32827", "1", "1", "160903007", "0", "Full-time employment (finding)"],
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
    let options = IngestOptions { vocabulary: Some(folder.path().to_owned()), ..IngestOptions::default() };
    try_read(files, Stored::default(), &options).unwrap()
}

/// The employment is an observation, because its concept is one; each row keeps the number of its line.
#[test]
fn conditions_go_where_their_concept_belongs() {
    let output = with_vocabulary(&with("conditions.csv", CONDITIONS));
    let rows = output.rows("condition_occurrence", &["condition_concept_id", "condition_source_concept_id"]);
    assert_eq!(rows, texts(&[&["4112343", "4112343"]]));
    let columns = ["observation_concept_id", "observation_date", "observation_source_value", "synthea_stop"];
    assert_eq!(output.rows("observation", &columns), texts(&[&["4187096", "2019-05-01", "160903007", ""]]));
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
        "drug_exposure_id", "drug_concept_id", "drug_source_concept_id", "drug_exposure_start_date", "drug_exposure_end_date",
        "verbatim_end_date", "drug_type_concept_id", "days_supply", "drug_source_value", "synthea_dispenses",
    ];
    let mut rows = output.rows("drug_exposure", &columns);
    rows.sort();
    let expected = texts(&[
        &["1", "19078461", "44000001", "2019-05-01", "2019-05-31", "2019-05-31", "32838", "30", "665078", "3"],
        &["2", "40213145", "40213145", "2019-05-01", "2019-05-01", "2019-05-01", "32818", "", "140", ""],
        &["3", "19078461", "19078461", "2019-05-01", "2019-05-01", "", "32838", "", "665079", "1"],
    ]);
    assert_eq!(rows, expected);
    let mut costs = output.rows("cost", &["cost_domain_id", "cost_event_id", "total_cost", "paid_by_payer"]);
    costs.retain(|row| row[0] == "Drug");
    costs.sort();
    let expected =
        texts(&[&["Drug", "1", "21.72", "2.0"], &["Drug", "2", "140.52", ""], &["Drug", "3", "7.24", "0.0"]]);
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
    let columns = ["procedure_concept_id", "procedure_date", "procedure_end_datetime", "procedure_source_value"];
    let expected = texts(&[&["0", "2019-05-01", "2019-05-01T08:20:00", "430193006"]]);
    assert_eq!(output.rows("procedure_occurrence", &columns), expected);
    let rows = output.rows("measurement", &["measurement_concept_id", "measurement_datetime", "value_as_number"]);
    assert_eq!(rows, texts(&[&["4000002", "2019-05-01T08:20:00", ""]]));
    let mut costs = output.rows("cost", &["cost_domain_id", "total_cost"]);
    costs.retain(|row| row[0] != "Visit");
    assert_eq!(costs, texts(&[&["Measurement", "5.0"], &["Procedure", "735.4"]]).into_iter().rev().collect::<Vec<_>>());
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
        "measurement_id", "value_as_number", "unit_concept_id", "unit_source_value", "value_source_value", "visit_occurrence_id",
        "synthea_category",
    ];
    // Two files fill the table, procedures first: the rows 0 and 2 have the keys 2 and 6.
    let expected =
        texts(&[&["2", "127.9", "0", "cm", "127.9", "1", "vital-signs"], &["6", "8.0", "0", "a", "8.0", "", ""]]);
    assert_eq!(output.rows("measurement", &columns), expected);
    let columns = ["value_as_number", "value_as_string", "unit_concept_id", "observation_source_value"];
    let expected = texts(&[
        &["", "Never smoker", "", "72166-2"],
        &["47384.0", "47384", "", "63586-2"],
        // The address is asked for, and not stored.
        &["", "", "", "56799-0"],
    ]);
    assert_eq!(output.rows("observation", &columns), expected);
    assert_eq!(output.finding("observations.csv", Some("VALUE"), FindingKind::Identifier), 1);
}

#[test]
fn units_and_measurements_by_the_vocabulary() {
    let output = with_vocabulary(&with("observations.csv", OBSERVATIONS));
    let rows = output.rows("measurement", &["measurement_concept_id", "unit_concept_id"]);
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
    let rows = output.rows("observation", &["observation_concept_id", "observation_source_value", "synthea_severity1"]);
    let expected = texts(&[&["4187096", "160903007", "MODERATE"], &["19078461", "665079", ""], &["0", "160903007", ""]]);
    assert_eq!(rows, expected);
}

#[test]
fn devices_and_supplies() {
    let devices = "START,STOP,PATIENT,ENCOUNTER,CODE,DESCRIPTION,UDI\n\
        2019-05-01T08:00:00Z,,ann,e1,705643001,Coronary artery stent,(01)13465995954590\n";
    let mut files = with("devices.csv", devices);
    let supplies = "DATE,PATIENT,ENCOUNTER,CODE,DESCRIPTION,QUANTITY\n2019-05-02,ann,e1,409534002,Respirator,24\n";
    files.push(("supplies.csv", supplies.to_owned()));
    let columns = ["device_exposure_id", "device_exposure_start_date", "device_exposure_end_date", "unique_device_id", "quantity"];
    let expected = texts(&[
        &["1", "2019-05-01", "", "(01)13465995954590", ""],
        &["2", "2019-05-02", "2019-05-02", "", "24"],
    ]);
    assert_eq!(read(&files).rows("device_exposure", &columns), expected);
}

/// A moment, and the bare years of older versions.
#[test]
fn insurance_without_member_and_owner() {
    let text = "PATIENT,MEMBERID,START_YEAR,END_YEAR,PAYER,SECONDARY_PAYER,OWNERSHIP,OWNERNAME\n\
        ann,m1,2014-10-14T04:17:47Z,2015-10-20T04:17:47Z,y1,,Guardian,Gail Lee\n\
        bob,,2016,2017,y1,,Self,\n";
    let output = read(&with("payer_transitions.csv", text));
    let columns = [
        "person_id", "payer_plan_period_start_date", "payer_plan_period_end_date", "payer_source_value", "plan_source_value",
        "sponsor_source_value", "family_source_value",
    ];
    let expected = texts(&[
        &["1", "2014-10-14", "2015-10-20", "y1", "Medicare", "Guardian", ""],
        &["2", "2016-01-01", "2017-12-31", "y1", "Medicare", "Self", ""],
    ]);
    assert_eq!(output.rows("payer_plan_period", &columns), expected);
    assert_eq!(output.finding("payer_transitions.csv", Some("OWNERNAME"), FindingKind::Identifier), 1);
}

/// Claims have no table here: kept under their own name, by person and visit, with typed dates and amounts.
#[test]
fn files_without_a_table_are_kept_whole() {
    let claims = "Id,PATIENTID,PROVIDERID,DIAGNOSIS1,APPOINTMENTID,SERVICEDATE,OUTSTANDING1\n\
        c1,ann,p1,195662009,e1,2019-05-01T08:00:00Z,12.5\n";
    let output = read(&with("claims.csv", claims));
    let columns = ["person_id", "visit_occurrence_id", "id", "diagnosis1", "servicedate", "outstanding1"];
    let expected = texts(&[&["1", "1", "c1", "195662009", "2019-05-01T08:00:00", "12.5"]]);
    assert_eq!(output.rows("synthea_claims", &columns), expected);
    // Payers are not a person's, and their names are no person's names.
    assert_eq!(output.rows("synthea_payers", &["id", "name", "revenue"]), texts(&[&["y1", "Medicare", "20250.0"]]));
    assert_eq!(output.finding("synthea_claims", None, FindingKind::ExtraTable), 1);
    // A file of a version to come is text, with its person.
    let output = read(&with("genomics.csv", "PATIENT,GENE,VALUE\nbob,BRCA1,0.5\n"));
    let rows = output.rows("synthea_genomics", &["person_id", "gene", "value"]);
    assert_eq!(rows, texts(&[&["2", "BRCA1", "0.5"]]));
}
