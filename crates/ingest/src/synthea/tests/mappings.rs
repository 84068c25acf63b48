//! Patients, encounters, places, insurance and files without a table, with the rows that they must give.

use super::*;

/// F 8532, M 8507; white 8527, native has no concept of OHDSI's list; hispanic 38003563. Both live in one place.
#[test]
fn patients_are_persons_and_deaths() {
    let output = read(&base());
    let columns = [
        "person_id",
        "gender_concept_id",
        "year_of_birth",
        "month_of_birth",
        "day_of_birth",
        "birth_datetime",
        "race_concept_id",
        "ethnicity_concept_id",
        "location_id",
        "person_source_value",
        "race_source_value",
        "synthea_marital",
    ];
    let expected = texts(&[
        &[
            "1",
            "8532",
            "1980",
            "2",
            "29",
            "1980-02-29T00:00:00",
            "8527",
            "38003564",
            "1",
            "ann",
            "white",
            "M",
        ],
        &[
            "2",
            "8507",
            "1950",
            "7",
            "1",
            "1950-07-01T00:00:00",
            "0",
            "38003563",
            "1",
            "bob",
            "native",
            "",
        ],
    ]);
    assert_eq!(output.rows("person", &columns), expected);
    // The cause is the reason of the encounter that certified the death; without a vocabulary its concepts are 0.
    let columns = [
        "person_id",
        "death_date",
        "death_type_concept_id",
        "cause_concept_id",
        "cause_source_value",
        "cause_source_concept_id",
    ];
    assert_eq!(
        output.rows("death", &columns),
        texts(&[&["2", "2020-03-04", "32817", "0", "22298006", "0"]])
    );
}

#[test]
fn what_identifies_a_person_is_left_out_and_named() {
    let output = read(&base());
    for column in ["SSN", "FIRST", "LAST", "ADDRESS"] {
        assert_eq!(
            output.finding("patients.csv", Some(column), FindingKind::Identifier),
            1,
            "{column}"
        );
    }
    for column in ["NAME", "ADDRESS", "LAT", "LON"] {
        assert_eq!(
            output.finding("providers.csv", Some(column), FindingKind::Identifier),
            1,
            "{column}"
        );
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
        "visit_occurrence_id",
        "person_id",
        "visit_concept_id",
        "visit_start_date",
        "visit_start_datetime",
        "visit_end_date",
        "visit_end_datetime",
        "visit_type_concept_id",
        "provider_id",
        "care_site_id",
        "visit_source_value",
        "synthea_encounterclass",
        "synthea_reasoncode",
    ];
    let expected = texts(&[
        &[
            "1",
            "1",
            "9202",
            "2019-05-01",
            "2019-05-01T08:00:00",
            "2019-05-01",
            "2019-05-01T08:30:00",
            "32827",
            "1",
            "1",
            "e1",
            "",
            "195662009",
        ],
        &[
            "2",
            "1",
            "9201",
            "2019-12-31",
            "2019-12-31T23:30:00",
            "2020-01-02",
            "2020-01-02T00:15:00",
            "32827",
            "",
            "1",
            "e2",
            "",
            "",
        ],
        &[
            "3",
            "2",
            "5083",
            "2020-03-04",
            "2020-03-04T01:00:00",
            "2020-03-04",
            "2020-03-04T01:00:00",
            "32827",
            "",
            "1",
            "e3",
            "",
            "22298006",
        ],
    ]);
    let mut rows = output.rows("visit_occurrence", &columns);
    for (row, class) in rows.iter_mut().zip(["ambulatory", "inpatient", "virtual"]) {
        assert_eq!(std::mem::take(&mut row[11]), class);
    }
    assert_eq!(rows, expected);
    // p9 of the second encounter is in no file; the third names nobody.
    assert_eq!(
        output.finding(
            "encounters.csv",
            Some("PROVIDER"),
            FindingKind::UnknownReference
        ),
        1
    );

    let columns = [
        "person_id",
        "observation_period_start_date",
        "observation_period_end_date",
        "period_type_concept_id",
    ];
    let expected = texts(&[
        &["1", "2019-05-01", "2020-01-02", "32882"],
        &["2", "2020-03-04", "2020-03-04", "32882"],
    ]);
    assert_eq!(output.rows("observation_period", &columns), expected);

    let columns = [
        "cost_event_id",
        "cost_domain_id",
        "total_charge",
        "total_cost",
        "paid_by_payer",
        "currency_concept_id",
    ];
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
    let rows = output.rows(
        "care_site",
        &[
            "care_site_id",
            "care_site_name",
            "location_id",
            "care_site_source_value",
        ],
    );
    assert_eq!(rows, texts(&[&["1", "CITY HOSPITAL", "2", "o1"]]));
    let columns = [
        "provider_id",
        "provider_name",
        "specialty_concept_id",
        "care_site_id",
        "gender_concept_id",
        "provider_source_value",
    ];
    assert_eq!(
        output.rows("provider", &columns),
        texts(&[&["1", "", "38004446", "1", "8532", "p1"]])
    );
    let columns = [
        "location_id",
        "address_1",
        "city",
        "state",
        "county",
        "zip",
        "latitude",
        "location_source_value",
    ];
    let expected = texts(&[
        &[
            "1",
            "",
            "Boston",
            "Massachusetts",
            "Suffolk",
            "02115",
            "",
            "Boston|Massachusetts|Suffolk|02115",
        ],
        &["2", "", "Boston", "MA", "", "02115", "", "Boston|MA||02115"],
    ]);
    assert_eq!(output.rows("location", &columns), expected);
}

/// A moment, and the bare years of older versions.
#[test]
fn insurance_without_member_and_owner() {
    let text = "PATIENT,MEMBERID,START_YEAR,END_YEAR,PAYER,SECONDARY_PAYER,OWNERSHIP,OWNERNAME\n\
        ann,m1,2014-10-14T04:17:47Z,2015-10-20T04:17:47Z,y1,,Guardian,Gail Lee\n\
        bob,,2016,2017,y1,,Self,\n";
    let output = read(&with("payer_transitions.csv", text));
    let columns = [
        "person_id",
        "payer_plan_period_start_date",
        "payer_plan_period_end_date",
        "payer_source_value",
        "plan_source_value",
        "sponsor_source_value",
        "family_source_value",
    ];
    let expected = texts(&[
        &[
            "1",
            "2014-10-14",
            "2015-10-20",
            "y1",
            "Medicare",
            "Guardian",
            "",
        ],
        &[
            "2",
            "2016-01-01",
            "2017-12-31",
            "y1",
            "Medicare",
            "Self",
            "",
        ],
    ]);
    assert_eq!(output.rows("payer_plan_period", &columns), expected);
    assert_eq!(
        output.finding(
            "payer_transitions.csv",
            Some("OWNERNAME"),
            FindingKind::Identifier
        ),
        1
    );
}

/// Claims have no table here: kept under their own name, by person and visit, with typed dates and amounts.
#[test]
fn files_without_a_table_are_kept_whole() {
    let claims = "Id,PATIENTID,PROVIDERID,DIAGNOSIS1,APPOINTMENTID,SERVICEDATE,OUTSTANDING1\n\
        c1,ann,p1,195662009,e1,2019-05-01T08:00:00Z,12.5\n";
    let output = read(&with("claims.csv", claims));
    let columns = [
        "person_id",
        "visit_occurrence_id",
        "id",
        "diagnosis1",
        "servicedate",
        "outstanding1",
    ];
    let expected = texts(&[&["1", "1", "c1", "195662009", "2019-05-01T08:00:00", "12.5"]]);
    assert_eq!(output.rows("synthea_claims", &columns), expected);
    // Payers are not a person's, and their names are no person's names.
    assert_eq!(
        output.rows("synthea_payers", &["id", "name", "revenue"]),
        texts(&[&["y1", "Medicare", "20250.0"]])
    );
    assert_eq!(
        output.finding("synthea_claims", None, FindingKind::ExtraTable),
        1
    );
    // A file of a version to come is text, with its person.
    let output = read(&with("genomics.csv", "PATIENT,GENE,VALUE\nbob,BRCA1,0.5\n"));
    let rows = output.rows("synthea_genomics", &["person_id", "gene", "value"]);
    assert_eq!(rows, texts(&[&["2", "BRCA1", "0.5"]]));
}
