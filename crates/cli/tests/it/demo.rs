//! The demo, small.

use std::fs;

use crate::support::{columna, command, folder, ran, text};

#[test]
fn the_whole_way_works_twice_and_spares_strangers() {
    let folder = folder();
    let dir = text(&folder.path().join("demo"));
    let told = columna(&["demo", "--patients", "600", "--dir", &dir]).ok();
    for part in [
        "A synthetic hospital",
        "The store",
        "kaplan_meier(time, event)",
        "Numbers at risk",
        "What is true",
        "0.70",
        "columna sql --store",
    ] {
        assert!(told.contains(part), "{part} in\n{told}");
    }
    assert!(
        told.chars().any(|c| ('\u{2801}'..='\u{28ff}').contains(&c)),
        "no curve in\n{told}"
    );
    let svg = fs::read_to_string(folder.path().join("demo/survival.svg")).expect("a picture");
    assert!(svg.starts_with("<?xml") && svg.trim_end().ends_with("</svg>"));

    let plain =
        ran(command()
            .env("LC_ALL", "C")
            .args(["demo", "--patients", "600", "--dir", &dir]))
        .ok();
    assert!(plain.is_ascii(), "{plain}");
    assert_eq!(
        fs::read_to_string(folder.path().join("demo/survival.svg")).expect("a picture"),
        svg
    );

    fs::write(folder.path().join("mine.txt"), "mine").expect("written");
    columna(&["demo", "--patients", "600", "--dir", &text(folder.path())])
        .fails(1, "not an earlier demo");
}
