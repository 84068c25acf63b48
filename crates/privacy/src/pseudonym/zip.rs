//! Three-digit ZIP areas, after 45 CFR 164.514(b)(2)(i)(B).

/// The three-digit areas with 20,000 people or fewer by the census of 2000, as the HHS Office for Civil Rights lists
/// them in its "Guidance Regarding Methods for De-identification of Protected Health Information" (2012).
const SMALL_2000: [&str; 17] = [
    "036", "059", "063", "102", "203", "556", "692", "790", "821", "823", "830", "831", "878",
    "879", "884", "890", "893",
];

/// The area that may be shown: the first three digits, or `000`. Anything that is no ZIP code is not shown.
pub(crate) fn zip3(text: &str) -> &str {
    let text = text.trim();
    match text.get(..3) {
        Some(area)
            if text.len() >= 5
                && text.bytes().take(5).all(|b| b.is_ascii_digit())
                && !SMALL_2000.contains(&area) =>
        {
            area
        }
        _ => "000",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_areas_and_other_texts_are_not_shown() {
        for (zip, shown) in [
            ("02139", "021"),
            ("02139-4307", "021"),
            ("03601", "000"),
            ("89301", "000"),
            ("123", "000"),
            ("서울시", "000"),
            ("", "000"),
        ] {
            assert_eq!(zip3(zip), shown, "{zip}");
        }
    }
}
