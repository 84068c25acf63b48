//! The name of the model that was meant by one that it does not have: `Persons.csv`, `birth_year`.

use columna_model::{CdmVersion, tables};

/// Endings that a file's name may have twice: `person.csv.csv`.
const ENDINGS: [&str; 5] = [".csv", ".tsv", ".txt", ".parquet", ".gz"];

/// Words that tell no column from another.
const EMPTY_WORDS: [&str; 2] = ["id", "of"];

/// The table of the model, not among those that are `given`, that a name in lower case is near to.
pub(crate) fn table(name: &str, given: impl Fn(&str) -> bool) -> Option<&'static str> {
    let mut name = name;
    while let Some(stem) = ENDINGS.iter().find_map(|ending| name.strip_suffix(ending)) {
        name = stem;
    }
    let known = || {
        CdmVersion::ALL
            .into_iter()
            .flat_map(|version| tables(version).iter().map(|table| table.name))
            .filter(|table| !given(table))
    };
    let wanted = words(name);
    // The first table of the model with the word is the one with the records: `visits`, `drugs`.
    let by_word = || match wanted.as_slice() {
        [word] => known().find(|table| words(table).first() == Some(word)),
        _ => None,
    };
    known()
        .find(|table| words(table) == wanted)
        .or_else(|| nearest(name, known()))
        .or_else(by_word)
}

/// The one of some names that was meant to be `column`.
pub(crate) fn column<'n>(
    column: &str,
    names: impl Iterator<Item = &'n str> + Clone,
) -> Option<&'n str> {
    let wanted = words(column);
    let is_near = |name: &&str| {
        let given = words(name);
        let shared = given.iter().filter(|word| wanted.contains(word)).count();
        shared > 0 && shared == given.len() && shared * 2 >= wanted.len()
    };
    let squeezed = |name: &str| name.replace(['_', ' ', '-', '.'], "");
    names
        .clone()
        .find(|name| squeezed(name) == squeezed(column))
        .or_else(|| names.clone().find(is_near))
        .or_else(|| nearest(column, names))
}

/// The name at the least distance, where that is no more than a slip of the finger.
fn nearest<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    names
        .map(|candidate| (strsim::levenshtein(name, candidate), candidate))
        .filter(|(distance, candidate)| distance * 4 <= candidate.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// The words of a name that tell it from others, in the singular and as the model says them.
fn words(name: &str) -> Vec<String> {
    name.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty() && !EMPTY_WORDS.contains(word))
        .map(|word| match word.strip_suffix('s').unwrap_or(word) {
            "patient" | "subject" => "person".to_owned(),
            "sex" => "gender".to_owned(),
            word => word.to_owned(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_by_plural_ending_slip_and_first_word() {
        for (name, meant) in [
            ("persons", Some("person")),
            ("patients", Some("person")),
            ("person.csv", Some("person")),
            ("persn", Some("person")),
            ("visits", Some("visit_occurrence")),
            ("visit-occurrence", Some("visit_occurrence")),
            ("conditions", Some("condition_occurrence")),
            ("drug_exposures", Some("drug_exposure")),
            ("bed_log", None),
            ("wards", None),
        ] {
            assert_eq!(table(name, |_| false), meant, "{name}");
        }
        assert_eq!(table("persons", |given| given == "person"), None);
    }

    #[test]
    fn columns_by_their_words() {
        for (wanted, name, meant) in [
            ("year_of_birth", "birth_year", true),
            ("year_of_birth", "yearofbirth", true),
            ("gender_concept_id", "gender_concept", true),
            ("gender_concept_id", "sex", true),
            ("person_id", "personid", true),
            ("person_id", "patient_id", true),
            ("person_id", "ward", false),
            ("visit_start_date", "date", false),
            ("visit_start_date", "start_date", true),
            ("year_of_birth", "id", false),
        ] {
            let found = column(wanted, std::iter::once(name));
            assert_eq!(found.is_some(), meant, "{wanted} {name}");
        }
    }
}
