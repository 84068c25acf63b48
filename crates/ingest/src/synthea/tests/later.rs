//! A delivery behind another: numbers go on, and known patients keep theirs.

use super::*;

/// The store has ann as 41, her encounter e1 as 700, the hospital as 5 and the place as 9.
fn stored() -> Stored {
    let mut stored = Stored::default();
    stored.index.persons.known(b"ann", 41);
    stored.index.care_sites.known(b"o1", 5);
    stored.index.locations.known(b"Boston|Massachusetts|Suffolk|02115", 9);
    stored.index.known_visit(b"e1", 700).unwrap();
    stored.index.visits_at_least(900).unwrap();
    stored.highest.insert("condition_occurrence", 1000);
    stored.highest.insert("observation_period", 50);
    stored
}

const CONDITIONS: &str = "START,STOP,PATIENT,ENCOUNTER,CODE,DESCRIPTION\n\
    2019-05-01,,ann,e1,1,x\n2019-05-01,,bob,e3,1,x\n";

#[test]
fn known_patients_keep_their_number() {
    let files = with("conditions.csv", CONDITIONS);
    let output = try_read(&files, stored(), &IngestOptions::default()).unwrap();
    let columns = ["condition_occurrence_id", "person_id", "visit_occurrence_id"];
    assert_eq!(output.rows("condition_occurrence", &columns), [["1001", "41", "700"], ["1002", "42", "902"]]);
    // ann, her first encounter and the hospital are there already.
    let refused: Vec<_> = output.rejects.iter().map(|(file, line, _, reason)| (file.as_str(), *line, reason.as_str())).collect();
    let expected = [
        ("encounters.csv", 2, "stored by an earlier delivery"),
        ("organizations.csv", 2, "stored by an earlier delivery"),
        ("patients.csv", 2, "stored by an earlier delivery"),
    ];
    assert_eq!(refused, expected);
    assert_eq!(output.rows("person", &["person_id", "location_id"]), [["42", "9"]]);
    assert_eq!(output.rows("location", &["location_id"]), [["10"]]);
    assert_eq!(output.rows("visit_occurrence", &["visit_occurrence_id", "care_site_id"]), [["901", "5"], ["902", "5"]]);
    assert_eq!(output.rows("observation_period", &["observation_period_id", "person_id"]), [["51", "41"], ["52", "42"]]);
}

#[test]
fn replacing_stores_them_again_under_their_number() {
    let options = IngestOptions { replace: true, ..IngestOptions::default() };
    let output = try_read(&base(), stored(), &options).unwrap();
    assert!(output.rejects.is_empty());
    assert_eq!(output.rows("person", &["person_id"]), [["41"], ["42"]]);
}
