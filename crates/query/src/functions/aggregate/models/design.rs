//! From the rows of a model to its design: one column for each number, and for each level of a factor but the first; of the first
//! factor of a model without a constant for that as well, as in R's `~ 0 + g`.

use std::collections::{BTreeMap, HashMap};

use arrow::array::{Array, AsArray, StructArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use columna_stats::Numbers;
use datafusion::common::Result;

use crate::functions::aggregate::adapter::{
    Kind, Label, Layout, ModelRows, Words, members, refuse,
};

/// A term as it was written.
#[derive(Debug)]
enum Term {
    Number(String),
    Factor {
        name: String,
        levels: Vec<String>,
        /// The levels before the first that has a column.
        base: usize,
    },
    /// A column for each member.
    Set(String),
}

/// The columns of a model.
#[derive(Debug, Default)]
pub(in crate::functions::aggregate) struct Design {
    terms: Vec<Term>,
    /// The name of each column.
    pub(super) names: Vec<String>,
    /// The values of each column; none for the members of sets.
    pub(super) columns: Vec<Numbers>,
    /// The rows that have a member of a set, by its column.
    pub(super) members: BTreeMap<usize, Vec<u32>>,
    /// The term that each column belongs to.
    pub(super) term_of: Vec<usize>,
}

impl Design {
    /// Takes the covariates out of the rows.
    pub(in crate::functions::aggregate) fn take(rows: &mut ModelRows, layout: &Layout) -> Self {
        let mut design = Self::default();
        let mut base = usize::from(!layout.is_constant_free());
        for (name, slot) in layout.terms() {
            let place = design.terms.len();
            if slot.kind != Kind::Word {
                design.names.push(name.clone());
                design.columns.push(rows.take_column(Some(*slot)));
                design.term_of.push(place);
                design.terms.push(Term::Number(name.clone()));
                continue;
            }
            let Some(words) = rows.words.get(slot.place) else {
                continue;
            };
            if layout.is_set(*slot) {
                for (Label(member), rows) in rows_of_members(words) {
                    design.members.insert(design.columns.len(), rows);
                    design.names.push(format!("{name}{member}"));
                    design.columns.push(Numbers::default());
                    design.term_of.push(place);
                }
                design.terms.push(Term::Set(name.clone()));
                continue;
            }
            let (levels, codes) = words.sorted_by(|word| Label(word.to_owned()));
            for (at, level) in levels.iter().enumerate().skip(base) {
                design.names.push(format!("{name}{level}"));
                let column = codes.iter().map(|code| i16::from(*code as usize == at));
                design.columns.push(column.collect::<Vec<_>>().into());
                design.term_of.push(place);
            }
            design.terms.push(Term::Factor {
                name: name.clone(),
                levels: levels.into_iter().map(str::to_owned).collect(),
                base,
            });
            base = 1;
        }
        design
    }

    /// The terms' names, in their order.
    pub(super) fn terms(&self) -> impl Iterator<Item = &str> {
        self.terms.iter().map(|term| match term {
            Term::Number(name) | Term::Factor { name, .. } | Term::Set(name) => name.as_str(),
        })
    }

    /// Factors with one level: a term of theirs says nothing.
    pub(super) fn constant_factors(&self) -> Vec<String> {
        let constant = self.terms.iter().filter_map(|term| match term {
            Term::Factor { name, levels, base } if levels.len() <= *base => Some(name.clone()),
            _ => None,
        });
        constant.collect()
    }

    /// The columns of a person with these values, one for each term by its name.
    pub(super) fn of_person(&self, person: &StructArray) -> Result<Vec<f64>> {
        let mut columns = Vec::with_capacity(self.names.len());
        for term in &self.terms {
            let (Term::Number(name) | Term::Factor { name, .. } | Term::Set(name)) = term;
            let Some(value) = person.column_by_name(name) else {
                return refuse!("`at` has no `{name}`, which is a term of the model");
            };
            if value.is_null(0) {
                return refuse!("`at` has NULL for `{name}`");
            }
            match term {
                Term::Number(_) => {
                    let value = cast(value, &DataType::Float64)?;
                    columns.push(value.as_primitive::<Float64Type>().value(0));
                }
                Term::Set(_) => {
                    return refuse!("`at` cannot have `{name}`, which is a list");
                }
                Term::Factor { levels, base, .. } => {
                    let value = cast(value, &DataType::Utf8)?;
                    let value = value.as_string::<i32>().value(0);
                    if !levels.iter().any(|level| level == value) {
                        return refuse!("`at` has a level of `{name}` that no row has");
                    }
                    let others = levels.iter().skip(*base);
                    columns.extend(others.map(|level| f64::from(u8::from(level == value))));
                }
            }
        }
        Ok(columns)
    }
}

/// The members of a column of sets in sort order, and the rows that have each of them.
fn rows_of_members(words: &Words) -> BTreeMap<Label, Vec<u32>> {
    let mut found: BTreeMap<Label, Vec<u32>> = BTreeMap::new();
    // The places of each word's members, so that a row looks none of them up.
    let mut places: HashMap<&str, usize> = HashMap::new();
    let of_words: Vec<Vec<usize>> = words
        .levels()
        .iter()
        .map(|word| {
            let members = members(word);
            let place = members.map(|member| {
                let next = places.len();
                *places.entry(member).or_insert(next)
            });
            place.collect()
        })
        .collect();
    let mut rows = vec![Vec::new(); places.len()];
    for (row, word) in (0..).zip(words.codes()) {
        for place in &of_words[*word as usize] {
            rows[*place].push(row);
        }
    }
    for (member, place) in places {
        found.insert(Label(member.to_owned()), std::mem::take(&mut rows[place]));
    }
    found
}
