//! What the engine's own planner does not know: rows lie patient by patient, in time order.
//!
//! And three things that it takes to be so and are not: see [`build_order`], [`null_supplied`] and [`told_apart`].
//!
//! Changes, each by what a plan declares of itself (partitioning and order), whatever made it: a scan, a
//! view, a CTE, or a guard that passes its input's properties on.
//!
//! | change | instead of |
//! |---|---|
//! | a join by person, alone or with more keys, runs range by range | repartitioning both sides, or sending one to all |
//! | a join of rows that are sorted by its keys goes through both sides at once | a hash table of one side |
//! | a join by one whole number looks up where it is, and passes on what all rows have | hashing, and copying every column |
//! | the far smaller side of such a join is read first, and the decoder reads what is of its persons | decoding all columns of all rows |
//! | a join by nothing but a range searches the sorted rows of the side that is kept | comparing all with all |
//! | a union of tables goes through all of them person by person, for what goes by person above | hashing or merging all of it |
//! | parts of a union are joined with small tables of persons one by one, for what does not | putting all rows person by person |
//! | a join within two bounds is divided by person, however small | all rows of a person for each of hers |
//! | rows sorted by person are sorted further within each person | a sort of everything |
//! | windows run over whole chunks of persons, column by column | one evaluation per person |
//! | sorts by numbers put each row's keys into one number | sorting batches, and merging them row by row |
//! | windows over whole partitions group rows as they come | sending them to their key's place, and a sort there |
//! | groups within a person are made chunk by chunk, where they are runs without a look-up | a hash table of all rows' groups |
//! | rows that lie person by person behind a pseudonym are sorted within each person, for windows | a sort of everything |
//! | different persons are counted by the last one seen | a set of persons for each group |
//! | many small partitions are taken in turn | starting all of them at once |
//! | what is planned twice runs once | once for each use of a CTE |
//! | the side of a join that reads the smaller tables is kept | the side that the engine expects fewer rows of |
//! | the parts of a condition are computed of all rows each | picking rows for each part, and putting answers back |
//! | what is asked of texts is asked once of each, which is remembered | once for each row |
//! | groups by text go by numbers that stand for the texts, while these are few | hashing and comparing the text of each row |
//! | of wide rows, those that may still be the first ones are decoded | decoding all of them for `ORDER BY … LIMIT` |
//! | concept sets are sent to the records that are looked up in them | sending records to where their concepts belong |
//! | a join looks up now and then, and can be ended there | computing on after Ctrl-C |

mod aligned_union;
mod all_of;
mod breaths;
mod build_order;
mod build_side;
mod changes;
mod clusters;
mod colocated_join;
mod divide_bounded;
mod few_persons;
mod frames;
mod grouping_sets;
mod in_turn;
mod joined_parts;
mod keys;
mod lookup_join;
mod matches;
mod missing_sorts;
mod nearby;
mod nearest;
mod null_supplied;
mod number_sort;
mod of_text;
mod one_sided;
mod packed;
mod range_bounds;
mod range_join;
mod rest;
mod run_aggregates;
mod runs;
mod segment_aggregate;
mod segment_join;
mod segment_sort;
mod segment_window;
mod segments;
mod shared;
mod shifts;
mod sorted_input;
mod text_groups;
mod text_once;
mod told_apart;
mod top_rows;
mod whole_partitions;
mod window_functions;

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::config::ConfigOptions;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::physical_plan::ExecutionPlan;

use aligned_union::AlignUnions;
use all_of::{AskByAll, FilterByAll};
use breaths::Breathe;
pub use breaths::breathing;
use build_order::HideBuildOrder;
use build_side::BuildSmallSide;
use clusters::WindowsOverClusters;
use colocated_join::{Colocate, Expose, KeepDivided};
use divide_bounded::DivideBounded;
use few_persons::ReadFewPersons;
use grouping_sets::HideGrouped;
use in_turn::TakeInTurn;
use joined_parts::JoinedParts;
pub(crate) use keys::numbers as sort_numbers;
use lookup_join::LookUpJoins;
use missing_sorts::SortWhatIsNot;
use nearest::PairWithNearest;
use null_supplied::HideNullSupplied;
pub(crate) use null_supplied::unknown;
use number_sort::SortNumbers;
use range_join::JoinRanges;
use runs::CountByRuns;
use segment_aggregate::AggregatesOverSegments;
use segment_join::JoinSegments;
use segment_sort::SortWithinSegments;
pub(crate) use segment_sort::order_within;
use segment_window::WindowsOverSegments;
use shared::{LinkShared, MarkShared};
use text_groups::GroupsOfTexts;
use told_apart::ToldApart;
use top_rows::ReadTopRows;
use whole_partitions::WindowsOverGroups;

type Rule = Arc<dyn PhysicalOptimizerRule + Send + Sync>;

/// The engine's physical rules, without what they do wrong in any plan.
pub(crate) fn engine_rules() -> impl Iterator<Item = Rule> {
    let rules = PhysicalOptimizer::new().rules.into_iter();
    rules.flat_map(|rule| match rule.name() {
        "FilterPushdown" | "FilterPushdown(Post)" => vec![Arc::new(ToldApart { rule }) as Rule],
        "EnsureRequirements" => vec![
            Arc::new(HideNullSupplied) as Rule,
            Arc::new(HideGrouped),
            rule,
        ],
        _ => vec![rule],
    })
}

/// The engine's physical rules with Columna's among them, each where its neighbours need it.
pub(crate) fn rules() -> Vec<Rule> {
    let mut rules: Vec<Rule> = Vec::new();
    let mut distributed = false;
    for rule in engine_rules() {
        match rule.name() {
            "EnsureRequirements" => {
                rules.push(Arc::new(JoinedParts));
                rules.push(Arc::new(AlignUnions));
                rules.push(Arc::new(WindowsOverGroups));
                rules.push(Arc::new(KeepDivided));
                rules.push(Arc::new(HideBuildOrder));
                rules.push(Arc::new(Colocate));
                rules.push(rule);
                rules.push(Arc::new(SortWhatIsNot));
                // Plain joins again, for the rules that narrow what a join returns.
                rules.push(Arc::new(Expose));
                distributed = true;
            }
            // While the plan still says in which order its result must be.
            "OutputRequirements" if distributed => {
                rules.push(Arc::new(WindowsOverClusters));
                rules.push(rule);
            }
            "join_selection" => {
                rules.push(rule);
                rules.push(Arc::new(BuildSmallSide));
                rules.push(Arc::new(DivideBounded));
            }
            // Filters that joins hand down are routed by all their keys: not where one key decides.
            "FilterPushdown" | "FilterPushdown(Post)" if distributed => {
                rules.push(Arc::new(MarkShared));
                rules.push(Arc::new(Colocate));
                rules.push(rule);
            }
            "SanityCheckPlan" => {
                rules.push(Arc::new(JoinSegments));
                rules.push(Arc::new(PairWithNearest));
                rules.push(Arc::new(JoinRanges));
                // Joins that go through both sides at once keep an order that there was none of before.
                rules.push(Arc::new(HideBuildOrder));
                rules.push(Arc::new(CountByRuns));
                rules.push(Arc::new(SortWithinSegments));
                rules.push(Arc::new(SortNumbers));
                rules.push(Arc::new(WindowsOverSegments));
                rules.push(Arc::new(AskByAll));
                rules.push(Arc::new(AggregatesOverSegments));
                rules.push(Arc::new(ReadTopRows));
                rules.push(Arc::new(FilterByAll));
                rules.push(Arc::new(TakeInTurn));
                rules.push(Arc::new(LookUpJoins));
                rules.push(Arc::new(ReadFewPersons));
                rules.push(Arc::new(GroupsOfTexts));
                rules.push(Arc::new(Breathe));
                // The last one: what it links is no longer found when a node below is made anew.
                rules.push(Arc::new(LinkShared));
                rules.push(rule);
            }
            _ => rules.push(rule),
        }
    }
    rules
}

/// A task's part of a query with the operators of this crate that stand for one of the engine's each. The others change how
/// a plan is divided, which a cluster's scheduler has to know, or cannot travel.
///
/// # Errors
/// When a node cannot be made anew.
pub fn in_a_task(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let config = ConfigOptions::default();
    let plan = WindowsOverSegments.optimize(plan, &config)?;
    GroupsOfTexts.optimize(plan, &config)
}
