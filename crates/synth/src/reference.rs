//! The tables that are the same for every patient: places, clinicians, the source, and the vocabulary.

use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Int32Array, Int64Array, RecordBatch, StringArray};
use columna_model::Day;

use crate::Error;
use crate::chart::CLINICIANS;
use crate::hospital::Hospital;
use crate::identity::DISTRICT_NAMES;
use crate::omop::{batch, departments, place_key, specialty};
use crate::population::WINDOW_END;
use crate::vocabulary::{Kind, all, hierarchy::ancestry, metadata};

/// Every such table with its rows.
pub(crate) fn tables(hospital: &Hospital) -> Result<Vec<(&'static str, RecordBatch)>, Error> {
    Ok(vec![
        ("location", location(hospital)?),
        ("care_site", care_site(hospital)?),
        ("provider", provider(hospital)?),
        ("cdm_source", cdm_source(hospital)?),
        ("concept", concept()?),
        ("concept_ancestor", concept_ancestor()?),
        ("concept_relationship", concept_relationship()?),
        ("vocabulary", vocabulary()?),
        ("domain", domain()?),
        ("concept_class", concept_class()?),
        ("relationship", relationship()?),
    ])
}

fn ids(values: impl IntoIterator<Item = i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(values))
}

fn words<S: AsRef<str>>(values: impl IntoIterator<Item = S>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

fn location(hospital: &Hospital) -> Result<RecordBatch, Error> {
    let rows = DISTRICT_NAMES.len();
    batch(
        "location",
        rows,
        vec![
            (
                "location_id",
                ids((0..rows).map(|number| place_key(hospital, number))),
            ),
            ("city", words(DISTRICT_NAMES.iter().map(|_| "서울특별시"))),
            ("county", words(DISTRICT_NAMES)),
            ("location_source_value", words(DISTRICT_NAMES)),
            (
                "country_source_value",
                words(DISTRICT_NAMES.iter().map(|_| "KR")),
            ),
        ],
    )
}

fn care_site(hospital: &Hospital) -> Result<RecordBatch, Error> {
    let names: Vec<String> = departments()
        .map(|(_, name)| format!("Synthetic hospital {}: {name}", hospital.number + 1))
        .collect();
    batch(
        "care_site",
        names.len(),
        vec![
            (
                "care_site_id",
                ids((0..names.len()).map(|number| place_key(hospital, number))),
            ),
            ("care_site_name", words(&names)),
            (
                "place_of_service_concept_id",
                ids(names.iter().map(|_| metadata::NO_MATCHING_CONCEPT.id)),
            ),
            (
                "location_id",
                ids(names.iter().map(|_| place_key(hospital, 0))),
            ),
            (
                "care_site_source_value",
                words(departments().map(|(_, name)| name)),
            ),
        ],
    )
}

fn provider(hospital: &Hospital) -> Result<RecordBatch, Error> {
    let clinicians: Vec<(usize, usize)> = departments()
        .flat_map(|(place, _)| (0..CLINICIANS).map(move |number| (place, number)))
        .collect();
    let key = |&(place, number): &(usize, usize)| place_key(hospital, place * CLINICIANS + number);
    batch(
        "provider",
        clinicians.len(),
        vec![
            ("provider_id", ids(clinicians.iter().map(key))),
            (
                "provider_name",
                words(
                    clinicians
                        .iter()
                        .map(|(place, number)| format!("Clinician {}-{}", place + 1, number + 1)),
                ),
            ),
            (
                "specialty_concept_id",
                ids(clinicians.iter().map(|(place, _)| specialty(*place).id)),
            ),
            (
                "care_site_id",
                ids(clinicians
                    .iter()
                    .map(|(place, _)| place_key(hospital, *place))),
            ),
            (
                "provider_source_value",
                words(
                    clinicians
                        .iter()
                        .map(|(place, number)| format!("D{:02}{:02}", place + 1, number + 1)),
                ),
            ),
        ],
    )
}

fn cdm_source(hospital: &Hospital) -> Result<RecordBatch, Error> {
    let day = || Arc::new(Date32Array::from(vec![WINDOW_END])) as ArrayRef;
    batch(
        "cdm_source",
        1,
        vec![
            (
                "cdm_source_name",
                words([format!("Synthetic hospital {}", hospital.number + 1)]),
            ),
            ("cdm_source_abbreviation", words(["SYNTH"])),
            ("cdm_holder", words(["columna-synth"])),
            (
                "source_description",
                words(["Synthetic patients made by a program; none of them exists."]),
            ),
            ("source_release_date", day()),
            ("cdm_release_date", day()),
            ("cdm_version", words(["5.4"])),
            (
                "cdm_version_concept_id",
                ids([metadata::NO_MATCHING_CONCEPT.id]),
            ),
            ("vocabulary_version", words(["columna-synth"])),
        ],
    )
}

fn dates_of(rows: usize) -> [(&'static str, ArrayRef); 2] {
    let first = Day::from_civil(1970, 1, 1).map_or(0, |day| day.0);
    let last = Day::from_civil(2099, 12, 31).map_or(0, |day| day.0);
    [
        (
            "valid_start_date",
            Arc::new(Date32Array::from_value(first, rows)),
        ),
        (
            "valid_end_date",
            Arc::new(Date32Array::from_value(last, rows)),
        ),
    ]
}

fn concept() -> Result<RecordBatch, Error> {
    let concepts: Vec<_> = all().collect();
    let mut columns = vec![
        ("concept_id", ids(concepts.iter().map(|concept| concept.id))),
        (
            "concept_name",
            words(concepts.iter().map(|concept| concept.name)),
        ),
        (
            "domain_id",
            words(concepts.iter().map(|concept| concept.classification().0)),
        ),
        (
            "vocabulary_id",
            words(concepts.iter().map(|concept| concept.classification().1)),
        ),
        (
            "concept_class_id",
            words(concepts.iter().map(|concept| concept.classification().2)),
        ),
        (
            "standard_concept",
            Arc::new(
                concepts
                    .iter()
                    .map(|concept| (concept.id != 0).then_some("S"))
                    .collect::<StringArray>(),
            ) as ArrayRef,
        ),
        (
            "concept_code",
            words(concepts.iter().map(|concept| concept.code)),
        ),
    ];
    columns.extend(dates_of(concepts.len()));
    batch("concept", concepts.len(), columns)
}

fn concept_ancestor() -> Result<RecordBatch, Error> {
    let rows: Vec<_> = ancestry()
        .into_iter()
        .filter(|row| row.descendant != 0)
        .collect();
    batch(
        "concept_ancestor",
        rows.len(),
        vec![
            (
                "ancestor_concept_id",
                ids(rows.iter().map(|row| row.ancestor)),
            ),
            (
                "descendant_concept_id",
                ids(rows.iter().map(|row| row.descendant)),
            ),
            (
                "min_levels_of_separation",
                Arc::new(Int32Array::from_iter_values(
                    rows.iter().map(|row| row.min_levels),
                )),
            ),
            (
                "max_levels_of_separation",
                Arc::new(Int32Array::from_iter_values(
                    rows.iter().map(|row| row.max_levels),
                )),
            ),
        ],
    )
}

fn concept_relationship() -> Result<RecordBatch, Error> {
    let mut rows: Vec<(i64, i64, &str)> = Vec::new();
    for concept in all().filter(|concept| concept.id != 0) {
        rows.push((concept.id, concept.id, "Maps to"));
        rows.push((concept.id, concept.id, "Mapped from"));
        let (up, down) = match concept.kind {
            Kind::Drug => ("RxNorm has ing", "RxNorm ing of"),
            _ => ("Is a", "Subsumes"),
        };
        for &parent in concept.parents {
            rows.push((concept.id, parent, up));
            rows.push((parent, concept.id, down));
        }
    }
    rows.sort_unstable();
    let mut columns = vec![
        ("concept_id_1", ids(rows.iter().map(|row| row.0))),
        ("concept_id_2", ids(rows.iter().map(|row| row.1))),
        ("relationship_id", words(rows.iter().map(|row| row.2))),
    ];
    columns.extend(dates_of(rows.len()));
    batch("concept_relationship", rows.len(), columns)
}

fn distinct(
    of: impl Fn((&'static str, &'static str, &'static str)) -> &'static str,
) -> Vec<&'static str> {
    let mut names: Vec<&str> = all().map(|concept| of(concept.classification())).collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn vocabulary() -> Result<RecordBatch, Error> {
    let names = distinct(|(_, vocabulary, _)| vocabulary);
    batch(
        "vocabulary",
        names.len(),
        vec![
            ("vocabulary_id", words(&names)),
            ("vocabulary_name", words(&names)),
            ("vocabulary_concept_id", ids(names.iter().map(|_| 0))),
        ],
    )
}

fn domain() -> Result<RecordBatch, Error> {
    let names = distinct(|(domain, _, _)| domain);
    batch(
        "domain",
        names.len(),
        vec![
            ("domain_id", words(&names)),
            ("domain_name", words(&names)),
            ("domain_concept_id", ids(names.iter().map(|_| 0))),
        ],
    )
}

fn concept_class() -> Result<RecordBatch, Error> {
    let names = distinct(|(_, _, class)| class);
    batch(
        "concept_class",
        names.len(),
        vec![
            ("concept_class_id", words(&names)),
            ("concept_class_name", words(&names)),
            ("concept_class_concept_id", ids(names.iter().map(|_| 0))),
        ],
    )
}

fn relationship() -> Result<RecordBatch, Error> {
    let pairs = [
        (
            "Maps to",
            "Non-standard to Standard map (OMOP)",
            "0",
            "Mapped from",
        ),
        (
            "Mapped from",
            "Standard to Non-standard map (OMOP)",
            "0",
            "Maps to",
        ),
        ("Is a", "Is a", "1", "Subsumes"),
        ("Subsumes", "Subsumes", "1", "Is a"),
        (
            "RxNorm has ing",
            "Has ingredient (RxNorm)",
            "1",
            "RxNorm ing of",
        ),
        (
            "RxNorm ing of",
            "Ingredient of (RxNorm)",
            "1",
            "RxNorm has ing",
        ),
    ];
    batch(
        "relationship",
        pairs.len(),
        vec![
            ("relationship_id", words(pairs.iter().map(|pair| pair.0))),
            ("relationship_name", words(pairs.iter().map(|pair| pair.1))),
            ("is_hierarchical", words(pairs.iter().map(|pair| pair.2))),
            ("defines_ancestry", words(pairs.iter().map(|pair| pair.2))),
            (
                "reverse_relationship_id",
                words(pairs.iter().map(|pair| pair.3)),
            ),
            ("relationship_concept_id", ids(pairs.iter().map(|_| 0))),
        ],
    )
}
