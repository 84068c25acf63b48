//! Which column of a model's rows is where: the same for the batches that are read and for the statistic.

use arrow::datatypes::DataType;

use crate::functions::aggregate::adapter::parameters::{
    Parameter, Role, TermKind, is_set, term_kind,
};

/// The kinds of columns that rows are kept in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Floating-point numbers.
    Number,
    /// Event codes, flags, whole numbers that name something.
    Code,
    /// Words.
    Word,
}

/// The kind that an argument is kept as; `None` for covariates, which are several columns.
pub(super) fn kind(role: Role, data_type: &DataType) -> Option<Kind> {
    match role {
        Role::Time | Role::Start | Role::Weights | Role::Value => Some(Kind::Number),
        Role::Event | Role::Flag => Some(Kind::Code),
        Role::Cluster | Role::Id if data_type == &DataType::Int64 => Some(Kind::Code),
        Role::Group | Role::Strata | Role::Cluster | Role::Id => Some(Kind::Word),
        _ => None,
    }
}

pub(super) fn kind_of_term(data_type: &DataType) -> Kind {
    match term_kind(data_type) {
        Some(TermKind::Word) => Kind::Word,
        None if is_set(data_type) => Kind::Word,
        _ => Kind::Number,
    }
}

/// A column: its kind, and its place among the columns of this kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) kind: Kind,
    pub(crate) place: usize,
}

/// The columns of a call.
#[derive(Debug, Clone, Default)]
pub(crate) struct Layout {
    columns: Vec<(&'static str, Slot)>,
    terms: Vec<(String, Slot)>,
    /// Terms that are sets, kept as words.
    sets: Vec<Slot>,
    counts: [usize; 3],
    /// Whether the model has no constant, for which the first factor has a column for its first level as well.
    constant_free: bool,
}

impl Layout {
    /// The layout of these arguments, in their order.
    pub(crate) fn new<'a>(
        arguments: impl IntoIterator<Item = (&'a Parameter, &'a DataType)>,
    ) -> Self {
        let mut layout = Self::default();
        for (parameter, data_type) in arguments {
            if let Some(kind) = kind(parameter.role, data_type) {
                let slot = layout.next(kind);
                layout.columns.push((parameter.name, slot));
            } else if let DataType::Struct(fields) = data_type {
                for field in fields {
                    let slot = layout.next(kind_of_term(field.data_type()));
                    layout
                        .sets
                        .extend(is_set(field.data_type()).then_some(slot));
                    layout.terms.push((field.name().clone(), slot));
                }
            }
        }
        layout
    }

    /// The layout of a model without a constant, or with one.
    pub(crate) fn with_constant(mut self, constant: bool) -> Self {
        self.constant_free = !constant;
        self
    }

    /// Whether the model has no constant.
    pub(crate) fn is_constant_free(&self) -> bool {
        self.constant_free
    }

    fn next(&mut self, kind: Kind) -> Slot {
        let count = &mut self.counts[kind as usize];
        *count += 1;
        Slot {
            kind,
            place: *count - 1,
        }
    }

    /// Where a parameter's column is, if it was given.
    pub(crate) fn slot(&self, name: &str) -> Option<Slot> {
        let column = self.columns.iter().find(|(known, _)| *known == name);
        column.map(|(_, slot)| *slot)
    }

    /// Columns of numbers, of codes and of words.
    pub(super) fn counts(&self) -> [usize; 3] {
        self.counts
    }

    /// Whether a term's words are sets: see [`super::members`].
    pub(crate) fn is_set(&self, slot: Slot) -> bool {
        self.sets.contains(&slot)
    }

    /// The terms in their order.
    pub(crate) fn terms(&self) -> &[(String, Slot)] {
        &self.terms
    }
}
