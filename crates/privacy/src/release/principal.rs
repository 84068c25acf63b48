//! A principal's session: from its policy to releases under disclosure control or with noise.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::common::ScalarValue;
use datafusion::prelude::SessionContext;

use super::{
    Controlled, Lens, Method, Notes, OnRelease, Private, Releasable, Rules, Tables, protect,
};
use crate::disclosure::releases::{Reader, Releases};
use crate::disclosure::{PROFILES, Profile, profile};
use crate::dp::accounting;
use crate::ledger::{AccountKey, Ledger};
use crate::policy::{Disclosure, Dp, KeyValue, Role, RoleKind, Table};
use crate::{Error, Policy, Principal, Result, State};

/// What a restricted session is made from.
pub struct Restriction<'a> {
    /// The policy.
    pub policy: &'a Policy,
    /// Who asks.
    pub principal: &'a Principal,
    /// The store's tables.
    pub tables: &'a [Table],
    /// The hash of the store's first snapshot.
    pub store: &'a str,
    /// The hash of the first snapshot that has these rows.
    pub snapshot: &'a str,
    /// Where budgets and releases are kept.
    pub state: &'a State,
    /// How the results of our own statistics may be disclosed, by function.
    pub declared: BTreeMap<String, Releasable>,
    /// ε of each question, as text, where less is wanted than the policy gives.
    pub epsilon: Option<&'a str>,
    /// Who is told what was withheld.
    pub on_release: Option<OnRelease>,
}

impl std::fmt::Debug for Restriction<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Restriction")
            .field("principal", self.principal)
            .field("snapshot", &self.snapshot)
            .finish_non_exhaustive()
    }
}

/// Makes a session with guarded tables one of an aggregate or differentially private role, with the notes that its
/// answers come with. Other roles' sessions stay as they are, and have no notes.
///
/// # Errors
///
/// When the policy does not allow the role, purpose or project, or the records can't be opened.
pub fn restrict(
    ctx: &SessionContext,
    restriction: Restriction<'_>,
) -> Result<(SessionContext, Option<Arc<Notes>>)> {
    let policy = restriction.policy;
    let role = policy.role(restriction.principal)?;
    let notes = Arc::new(Notes::default());
    let mut tables = Tables::default();
    for table in restriction.tables {
        tables.add(&table.name, table.person_key.as_deref());
    }
    let lens = lens(&restriction)?;
    let method = match role.kind {
        RoleKind::Steward | RoleKind::Analyst => return Ok((ctx.clone(), None)),
        RoleKind::Aggregate => Method::Controlled(Arc::new(Controlled {
            profile: controlled(role)?,
            reader: Reader {
                snapshot: format!("{}/{}", restriction.store, restriction.snapshot),
                principal: restriction.principal.name.clone(),
            },
            lens,
            releases: Arc::new(Releases::open(&restriction.state.releases())?),
            declared: restriction.declared,
            notes: Arc::clone(&notes),
            on_release: restriction.on_release,
        })),
        RoleKind::Dp => {
            let Some(dp) = &role.dp else {
                return Err(incomplete(role, "dp"));
            };
            for ((table, column), bounds) in &dp.bounds {
                tables.bound(table, column, *bounds);
            }
            let project = policy.project(restriction.principal);
            Method::Private(Arc::new(Private {
                rules: rules(dp, restriction.epsilon)?,
                account: AccountKey {
                    dataset: restriction.state.dataset(restriction.snapshot)?,
                    project: project.map_or_else(String::new, |project| project.name.clone()),
                    principal: restriction.principal.name.clone(),
                },
                snapshot: restriction.snapshot.to_owned(),
                lens,
                ledger: Arc::new(Ledger::open(&restriction.state.ledger())?),
                notes: Arc::clone(&notes),
            }))
        }
    };
    Ok((protect(ctx, Arc::new(tables), method), Some(notes)))
}

/// Through what the principal sees the tables.
fn lens(restriction: &Restriction<'_>) -> Result<Lens> {
    let policy = restriction.policy;
    let view = policy.view(restriction.principal, restriction.tables)?;
    let project = policy.project(restriction.principal);
    Ok(Lens::of(&view, policy.ages, project))
}

fn incomplete(role: &Role, part: &str) -> Error {
    Error::refused(
        "policy",
        format!("the role `{}` has no `{part}`", role.name),
        "ask the policy's author; `columna privacy policy check` shows it".to_owned(),
    )
}

/// A role's profile, with what its policy says otherwise.
fn controlled(role: &Role) -> Result<Profile> {
    let Some(disclosure) = &role.disclosure else {
        return Err(incomplete(role, "disclosure"));
    };
    named(disclosure).ok_or_else(|| {
        Error::refused(
            "policy",
            format!("there is no disclosure profile `{}`", disclosure.profile),
            format!("the profiles are {}", PROFILES.join(", ")),
        )
    })
}

/// The profile that a policy names, with its changes.
#[must_use]
pub fn named(disclosure: &Disclosure) -> Option<Profile> {
    let base = profile(&disclosure.profile)?;
    Some(Profile {
        k: disclosure.k.unwrap_or(base.k).max(1),
        round_to: disclosure.round_to.or(base.round_to),
        dominance: (
            disclosure.dominance_n.unwrap_or(base.dominance.0),
            disclosure.dominance_share.unwrap_or(base.dominance.1),
        ),
        p_ratio: disclosure.p_ratio.unwrap_or(base.p_ratio),
        events_per_coefficient: disclosure
            .events_per_coefficient
            .unwrap_or(base.events_per_coefficient),
        ..base
    })
}

fn rules(dp: &Dp, epsilon: Option<&str>) -> Result<Rules> {
    let epsilon_per_query = match epsilon {
        None => dp.epsilon_per_query,
        Some(text) => accounting::epsilon(text, dp.epsilon_per_query).map_err(|error| {
            Error::refused(
                "epsilon",
                error.to_string(),
                "leave it out for what the policy gives each question".to_owned(),
            )
        })?,
    };
    let value = |key: &KeyValue| match key {
        KeyValue::Integer(number) => ScalarValue::Int64(Some(*number)),
        KeyValue::Text(text) => ScalarValue::Utf8(Some(text.clone())),
        KeyValue::Boolean(yes) => ScalarValue::Boolean(Some(*yes)),
    };
    let count = |number: u32| usize::try_from(number).unwrap_or(usize::MAX).max(1);
    Ok(Rules {
        epsilon: dp.epsilon,
        delta: dp.delta,
        epsilon_per_query,
        max_groups: count(dp.max_groups),
        max_rows: count(dp.max_rows),
        keys: dp
            .keys
            .iter()
            .map(|(column, keys)| (column.clone(), keys.iter().map(value).collect()))
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    const POLICY: &str = r#"
version = 1

[projects.study]

[roles.counter]
kind = "aggregate"
purposes = ["research"]
disclosure = { profile = "sacro", k = 20, round_to = 5 }

[roles.noisy]
kind = "dp"
purposes = ["research"]
projects = ["study"]
[roles.noisy.dp]
epsilon = 2.0
delta = 1e-6
epsilon_per_query = 0.5
max_groups = 3
max_rows = 4
bounds = { "person.year_of_birth" = [1900, 2025] }
keys = { "person.gender_concept_id" = [8507, 8532] }

[[rules]]
name = "persons"
tables = ["person"]
classes = { person_key = "raw", code = "raw", quasi = "raw" }
"#;

    #[test]
    fn a_policy_sets_profiles_and_budgets() {
        let policy = Policy::parse("p.toml", POLICY).unwrap();
        let profile = controlled(&policy.roles["counter"]).unwrap();
        assert_eq!(
            (profile.name, profile.k, profile.round_to),
            ("sacro", 20, Some(5))
        );
        assert_eq!(profile.dominance, (2, 0.9));
        let dp = policy.roles["noisy"].dp.as_ref().unwrap();
        let of = rules(dp, None).unwrap();
        assert_eq!(
            (of.max_groups, of.max_rows, of.epsilon_per_query),
            (3, 4, 0.5)
        );
        assert_eq!(rules(dp, Some("0.1")).unwrap().epsilon_per_query, 0.1);
        for wrong in ["0.6", "-1", "0", "1e9", "(SELECT 1)", "inf"] {
            assert!(rules(dp, Some(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn restricted_sessions_need_what_their_policy_says() {
        let policy = Policy::parse("p.toml", POLICY).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let state = State::of("", Some(&folder.path().join("p"))).unwrap();
        let ctx = SessionContext::new();
        let ask = |role: &str, epsilon: Option<&'static str>| {
            restrict(
                &ctx,
                Restriction {
                    policy: &policy,
                    principal: &Principal::new("ana", role, "research"),
                    tables: &[],
                    store: "s",
                    snapshot: "s",
                    state: &state,
                    declared: BTreeMap::new(),
                    epsilon,
                    on_release: None,
                },
            )
        };
        assert!(ask("counter", None).unwrap().1.is_some());
        assert!(ask("noisy", Some("0.25")).unwrap().1.is_some());
        assert!(ask("noisy", Some("17")).is_err());
        assert!(ask("nobody", None).is_err());
    }
}
