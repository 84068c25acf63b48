//! The versions of the data model, and how a data set's version shows in its column names.

use std::fmt;

use super::table_in;

/// A version of the OMOP Common Data Model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CdmVersion {
    /// 5.3, and its patch release 5.3.1.
    V5_3,
    /// 5.4.
    V5_4,
}

impl CdmVersion {
    /// Both versions, oldest first.
    pub const ALL: [Self; 2] = [Self::V5_3, Self::V5_4];

    /// The version that a data set names, as in `cdm_source.cdm_version`: `5.3`, `v5.3.1`, `5.4.0`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let number = name.trim().trim_start_matches(['v', 'V', ' ']);
        let is = |version: &str| {
            let rest = number.strip_prefix(version);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        Self::ALL.into_iter().find(|version| is(version.name()))
    }

    /// `5.3` or `5.4`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::V5_3 => "5.3",
            Self::V5_4 => "5.4",
        }
    }

    fn other(self) -> Self {
        match self {
            Self::V5_3 => Self::V5_4,
            Self::V5_4 => Self::V5_3,
        }
    }
}

impl fmt::Display for CdmVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The version of a data set from the names of its tables and of their columns, in any case.
///
/// Names that only one version knows decide, by their number. Where there are none, a table that has every
/// column of 5.3 and none of those that 5.4 added is taken as 5.3. `None` means that nothing speaks for either,
/// or as much for one as for the other.
#[must_use]
pub fn detect_version<T, C>(data: &[(T, Vec<C>)]) -> Option<CdmVersion>
where
    T: AsRef<str>,
    C: AsRef<str>,
{
    let count = |version| -> usize {
        data.iter()
            .map(|(table, columns)| names_only_in(version, table.as_ref(), columns))
            .sum()
    };
    match count(CdmVersion::V5_3).cmp(&count(CdmVersion::V5_4)) {
        std::cmp::Ordering::Greater => Some(CdmVersion::V5_3),
        std::cmp::Ordering::Less => Some(CdmVersion::V5_4),
        std::cmp::Ordering::Equal => {
            let old = |(table, columns): &(T, Vec<C>)| is_whole_5_3(table.as_ref(), columns);
            let silent = count(CdmVersion::V5_3) == 0;
            (silent && data.iter().any(old)).then_some(CdmVersion::V5_3)
        }
    }
}

/// How many names of this table only `version` knows: the columns, or the table itself.
fn names_only_in<C: AsRef<str>>(version: CdmVersion, table: &str, columns: &[C]) -> usize {
    match (table_in(version, table), table_in(version.other(), table)) {
        (Some(here), Some(there)) => columns
            .iter()
            .map(AsRef::as_ref)
            .filter(|column| here.column(column).is_some() && there.column(column).is_none())
            .count(),
        (Some(_), None) => 1,
        _ => 0,
    }
}

/// Whether a table that grew in 5.4 has all that 5.3 knew of it.
fn is_whole_5_3<C: AsRef<str>>(table: &str, columns: &[C]) -> bool {
    let (Some(old), Some(new)) = (
        table_in(CdmVersion::V5_3, table),
        table_in(CdmVersion::V5_4, table),
    ) else {
        return false;
    };
    let given = |name: &str| {
        columns
            .iter()
            .any(|column| column.as_ref().eq_ignore_ascii_case(name))
    };
    new.columns.len() > old.columns.len() && old.columns.iter().all(|column| given(column.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::omop::tables;

    fn whole(version: CdmVersion, table: &str) -> (String, Vec<String>) {
        let columns = table_in(version, table)
            .into_iter()
            .flat_map(|table| table.columns)
            .map(|column| column.name.to_uppercase())
            .collect();
        (table.to_uppercase(), columns)
    }

    #[test]
    fn whole_data_sets_are_recognised() {
        for version in CdmVersion::ALL {
            let data: Vec<_> = tables(version)
                .iter()
                .map(|table| whole(version, table.name))
                .collect();
            assert_eq!(detect_version(&data), Some(version));
        }
    }

    #[test]
    fn one_telling_table_is_enough() {
        for table in ["visit_occurrence", "visit_detail", "measurement", "note"] {
            for version in CdmVersion::ALL {
                assert_eq!(
                    detect_version(&[whole(version, table)]),
                    Some(version),
                    "{table}"
                );
            }
        }
    }

    #[test]
    fn tables_that_never_changed_tell_nothing() {
        let person = whole(CdmVersion::V5_4, "person");
        assert_eq!(detect_version(&[person]), None);
        assert_eq!(detect_version::<&str, &str>(&[]), None);
        assert_eq!(detect_version(&[("patients", vec!["id"])]), None);
    }

    #[test]
    fn a_table_with_columns_left_out_tells_nothing() {
        let some = ("measurement", vec!["measurement_id", "person_id"]);
        assert_eq!(detect_version(&[some]), None);
    }

    #[test]
    fn a_tie_is_not_decided() {
        let both = (
            "visit_occurrence",
            vec!["admitted_from_concept_id", "admitting_source_value"],
        );
        assert_eq!(detect_version(&[both]), None);
    }

    #[test]
    fn version_names() {
        for name in ["5.3", "v5.3.1", "V5.3"] {
            assert_eq!(
                CdmVersion::from_name(name),
                Some(CdmVersion::V5_3),
                "{name}"
            );
        }
        assert_eq!(CdmVersion::from_name(" v5.4.0"), Some(CdmVersion::V5_4));
        for name in ["", "6.0", "5.30", "five"] {
            assert_eq!(CdmVersion::from_name(name), None, "{name}");
        }
    }
}
