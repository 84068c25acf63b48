//! What identifies a person directly, and is left out of the store.

/// Columns that name a person, an address or an account, in whichever file.
///
/// OMOP has no place for them, and no analysis needs them. A place of birth and coordinates are among them: both
/// are narrower than any geography that de-identified data may keep (45 CFR 164.514(b)(2)(i)(B)).
const COLUMNS: [&str; 22] = [
    "ssn",
    "drivers",
    "passport",
    "prefix",
    "first",
    "middle",
    "last",
    "suffix",
    "maiden",
    "birthplace",
    "address",
    "lat",
    "lon",
    "phone",
    "email",
    "memberid",
    "member_id",
    "ownername",
    "owner_name",
    "patientinsuranceid",
    "first_name",
    "last_name",
];

/// Files whose column `NAME` is the name of a place or a company, not of a person.
const NAMED_FILES: [&str; 2] = ["organizations", "payers"];

/// LOINC codes whose answer identifies a person: the address (which Synthea asks for), telephone and social security
/// number, the name and its parts.
const ASKS_FOR_IDENTIFIER: [&[u8]; 7] = [
    b"56799-0", b"42077-8", b"45396-9", b"54125-0", b"45392-8", b"45393-6", b"45394-4",
];

/// Whether a column of a file identifies a person directly.
pub(super) fn is_identifier(file: &str, column: &str) -> bool {
    let column = column.to_ascii_lowercase();
    COLUMNS.contains(&column.as_str()) || (column == "name" && !NAMED_FILES.contains(&file))
}

/// Whether the answer to what a LOINC code asks identifies a person directly.
pub(super) fn asks_for_identifier(code: &[u8]) -> bool {
    ASKS_FOR_IDENTIFIER.contains(&code)
}
