//! One person in several roles, and policies that change: what one role was told is held against another's questions,
//! and each answer keeps the rules of the role that it is given to.

use crate::desk::Desk;

const POLICY: &str = r#"
version = 1
[projects.study]
[roles.exact]
kind = "aggregate"
purposes = ["research"]
disclosure = { profile = "cms" }
[roles.rounded]
kind = "aggregate"
purposes = ["research"]
disclosure = { profile = "opensafely", k = 60 }
[roles.coarse]
kind = "aggregate"
purposes = ["research"]
disclosure = { profile = "cms" }
[roles.most]
kind = "aggregate"
purposes = ["research"]
disclosure = { profile = "cms" }
[roles.noisy]
kind = "dp"
purposes = ["research"]
projects = ["study"]
[roles.noisy.dp]
epsilon = 100.0
delta = 1e-6
epsilon_per_query = 20
max_groups = 1
max_rows = 1
bounds = { "person.year_of_birth" = [1900, 2025] }
[roles.noisy_women]
kind = "dp"
purposes = ["research"]
projects = ["study"]
[roles.noisy_women.dp]
epsilon = 100.0
delta = 1e-6
epsilon_per_query = 20
max_groups = 1
max_rows = 1
bounds = { "person.year_of_birth" = [1900, 2025] }
[[rules]]
name = "all of it"
roles = ["exact", "rounded", "most", "noisy", "noisy_women"]
tables = ["person", "condition_occurrence", "visit_occurrence"]
classes = { person_key = "raw", code = "raw", value = "raw", date = "raw", quasi = "raw", key = "raw" }
[[rules]]
name = "births by decade"
roles = ["coarse"]
tables = ["person"]
columns = { person_id = "raw", gender_concept_id = "raw", year_of_birth = { bin = 10 } }
[[rules]]
name = "not the oldest"
roles = ["most"]
tables = ["person"]
filter = "year_of_birth >= 1940"
[[rules]]
name = "women only"
roles = ["noisy_women"]
tables = ["person"]
filter = "gender_concept_id = 8532"
"#;

const PERSONS: &str = "SELECT count(*) FROM person";
const BY_BIRTH: &str = "SELECT year_of_birth // 20, count(*) FROM person GROUP BY 1 ORDER BY 1";
const MEAN: &str = "SELECT avg(year_of_birth) FROM person";

fn numbers(rows: &[String]) -> Vec<Option<f64>> {
    let last = |row: &String| row.rsplit(',').next().and_then(|n| n.parse().ok());
    rows.iter().map(last).collect()
}

#[test]
fn each_role_keeps_its_own_rules_about_what_another_was_told() {
    let desk = Desk::under(POLICY);
    let exact = numbers(&desk.rows("exact", BY_BIRTH));
    assert!(exact.iter().flatten().any(|n| n % 5.0 != 0.0), "{exact:?}");
    assert!(exact.iter().flatten().any(|n| *n < 60.0), "{exact:?}");
    // Rounded, and none of fewer than 60, though the same person was told the exact ones.
    let rounded = numbers(&desk.rows("rounded", BY_BIRTH));
    assert!(
        rounded
            .iter()
            .flatten()
            .all(|n| n % 5.0 == 0.0 && *n >= 60.0),
        "{rounded:?}"
    );
    assert!(rounded.iter().flatten().count() >= 3, "{rounded:?}");
    // The total would give away those who are left: in no role.
    assert_eq!(numbers(&desk.rows("exact", PERSONS)), [None]);
    let other = Desk::under(POLICY);
    assert_eq!(other.rows("exact", PERSONS), ["300"]);
    assert_eq!(other.rows("rounded", PERSONS), ["300"]);
}

#[test]
fn what_was_rounded_once_stays_rounded_in_every_role() {
    let desk = Desk::under(POLICY);
    let rounded = numbers(&desk.rows("rounded", BY_BIRTH));
    let exact = numbers(&desk.rows("exact", BY_BIRTH));
    // Otherwise a person could ask one role for what the other one blurs, and a difference of one person with it.
    for shown in rounded.iter().flatten() {
        assert!(exact.contains(&Some(*shown)), "{rounded:?} {exact:?}");
    }
}

#[test]
fn a_mean_of_coarsened_values_is_not_that_of_the_stored_ones() {
    let desk = Desk::under(POLICY);
    let stored = numbers(&desk.rows("exact", MEAN))[0].expect("a mean");
    // The same persons, and other values: neither the stored mean, nor one that shows by how much they differ.
    assert_eq!(numbers(&desk.rows("coarse", MEAN)), [None]);
    assert_eq!(numbers(&desk.rows("exact", MEAN)), [Some(stored)]);
    // Whoever has this role only gets the mean of what it sees, some five years lower.
    let alone = Desk::under(POLICY);
    let coarse = numbers(&alone.rows("coarse", MEAN))[0].expect("a mean");
    assert!((3.0..7.0).contains(&(stored - coarse)), "{stored} {coarse}");
    // Counts are of persons, however their values are shown.
    assert_eq!(desk.rows("exact", PERSONS), desk.rows("coarse", PERSONS));
}

#[test]
fn a_noisy_answer_is_not_given_to_a_role_that_sees_fewer_rows() {
    let desk = Desk::under(POLICY);
    let count = |role: &str| numbers(&desk.rows(role, PERSONS))[0].expect("a count");
    let all = count("noisy");
    let women = count("noisy_women");
    // The noise has a standard deviation below 1.
    assert!((all - 300.0).abs() < 12.0, "{all}");
    assert!(women < 220.0, "{women}");
    let (_, questions, answered) = desk.spent();
    assert_eq!(
        (questions, answered),
        (2, 2),
        "two questions, both paid for"
    );
    // Each stays what it is, and free.
    assert_eq!((count("noisy"), count("noisy_women")), (all, women));
    assert_eq!(desk.spent().1, 2);
}

#[test]
fn a_stricter_policy_counts_from_the_next_question_on() {
    let desk = Desk::under(POLICY);
    let before = numbers(&desk.rows("exact", BY_BIRTH));
    assert!(before.iter().flatten().any(|n| *n < 60.0), "{before:?}");
    let noisy = desk.rows("noisy", PERSONS);
    desk.change_policy(
        &POLICY
            .replace(
                "profile = \"cms\"",
                "profile = \"cms\", k = 60, round_to = 10",
            )
            .replace(
                "roles = [\"noisy_women\"]\ntables = [\"person\"]",
                "roles = [\"noisy\", \"noisy_women\"]\ntables = [\"person\"]",
            ),
    );
    let after = numbers(&desk.rows("exact", BY_BIRTH));
    assert!(
        after
            .iter()
            .flatten()
            .all(|n| n % 10.0 == 0.0 && *n >= 60.0),
        "{after:?}"
    );
    assert_ne!(desk.rows("noisy", PERSONS), noisy);
}

#[test]
fn two_roles_do_not_subtract_to_a_few_persons() {
    // One role sees seven persons fewer than the other: too few to be told by subtraction.
    for roles in [["exact", "most"], ["most", "exact"]] {
        let desk = Desk::under(POLICY);
        let all = numbers(&desk.rows(roles[0], PERSONS))[0].expect("a count");
        let other = numbers(&desk.rows(roles[1], PERSONS))[0];
        assert!(
            other.is_none_or(|other| (other - all).abs() < 0.5),
            "{roles:?}: {all} {other:?}"
        );
        // Nor by groups of which one role sees all and the other not.
        let by_sex = |role: &str| {
            numbers(&desk.rows(
                role,
                "SELECT gender_concept_id, count(*) FROM person GROUP BY 1 ORDER BY 1",
            ))
        };
        for (one, other) in by_sex(roles[0]).iter().zip(by_sex(roles[1])) {
            if let (Some(one), Some(other)) = (one, other) {
                assert!((one - other).abs() < 0.5, "{roles:?}: {one} {other}");
            }
        }
    }
    // Whoever has one of the roles only is told what that role sees.
    let alone = Desk::under(POLICY);
    assert_eq!(alone.rows("most", PERSONS), ["293"]);
}
