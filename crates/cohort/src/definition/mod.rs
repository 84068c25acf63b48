//! A cohort definition: Circe's JSON, read into what it says.

mod concept_set;
mod criteria;
mod cursor;
mod expression;
mod group;
mod locate;
mod model;
mod problem;
mod range;
mod review;

pub use expression::{ParsedDefinition, parse};
pub use locate::Place;
pub use model::{
    ConceptItem, ConceptSet, Correlated, CountColumn, Criteria, DateAdjustment, DateField,
    Definition, Demographic, EndStrategy, Endpoint, Filter, Group, GroupKind, Limit, NamedConcept,
    Occurrence, OccurrenceKind, Period, Primary, Rule, Test, Window,
};
pub use problem::{Problem, Severity};
pub use range::{DateRange, NumberRange, Operator, TextFilter};
