//! Turns definitions into one plan, in which equal criteria, groups and concept sets stand once.

use std::collections::{BTreeSet, HashMap};

use columna_store::{Snapshot, Store};
use roaring::RoaringTreemap;

use super::concepts::{key, resolve};
use super::intern::Interner;
use super::lookups;
use super::tables::{ColumnKind, Slots};
use super::{
    At, Bits, CohortPlan, CorrelatedPlan, CountPlan, EndPlan, GroupPlan, Leaf, Plan, PlanField,
    PlanOperand, PlanTest, Query, WindowPlan,
};
use crate::definition::{
    ConceptItem, Correlated, CountColumn, Criteria, DateField, Definition, EndStrategy, Endpoint,
    Filter, Group, Limit, NamedConcept, Test, Window,
};
use crate::domain::{Domain, Field, Operand};
use crate::error::Result;

/// Makes the plan of a run. Blocking: it reads the vocabulary.
///
/// # Errors
/// When the vocabulary cannot be read.
pub fn compile(store: &Store, snapshot: &Snapshot, definitions: &[Definition]) -> Result<Plan> {
    let mut warnings = Vec::new();
    let sets = Sets::resolve(store, snapshot, definitions, &mut warnings)?;
    let mut compiler = Compiler {
        sets,
        slots: Slots::default(),
        leaves: Interner::default(),
        queries: Interner::default(),
        groups: Interner::default(),
        visits: false,
        specialties: false,
        places: false,
    };
    let cohorts: Vec<CohortPlan> = definitions
        .iter()
        .enumerate()
        .map(|(at, definition)| compiler.cohort(at, definition))
        .collect();
    compiler.finish(store, snapshot, cohorts, warnings)
}

/// The concept sets of all definitions, each content once.
struct Sets {
    distinct: Vec<RoaringTreemap>,
    by_content: HashMap<Vec<u64>, At>,
    /// The set of every definition's codesets.
    named: Vec<HashMap<i32, At>>,
    empty: At,
}

impl Sets {
    fn resolve(
        store: &Store,
        snapshot: &Snapshot,
        definitions: &[Definition],
        warnings: &mut Vec<String>,
    ) -> Result<Self> {
        let mut written: Interner<Vec<ConceptItem>> = Interner::default();
        let mut places = Vec::with_capacity(definitions.len());
        for definition in definitions {
            let sets = definition.concept_sets.iter();
            places.push(
                sets.map(|set| (set.id, written.place(canonical(&set.items))))
                    .collect::<Vec<_>>(),
            );
        }
        let items: Vec<&[ConceptItem]> = written.items().iter().map(Vec::as_slice).collect();
        let resolved = resolve(store, snapshot, &items, warnings)?;
        let mut sets = Self {
            distinct: Vec::new(),
            by_content: HashMap::new(),
            named: Vec::new(),
            empty: 0,
        };
        sets.empty = sets.place(RoaringTreemap::new());
        let resolved: Vec<At> = resolved.into_iter().map(|set| sets.place(set)).collect();
        for places in places {
            let named = places.into_iter().map(|(id, at)| (id, resolved[at]));
            sets.named.push(named.collect());
        }
        Ok(sets)
    }

    fn place(&mut self, set: RoaringTreemap) -> At {
        let content: Vec<u64> = set.iter().collect();
        *self.by_content.entry(content).or_insert_with(|| {
            self.distinct.push(set);
            self.distinct.len() - 1
        })
    }

    fn listed(&mut self, concepts: &[NamedConcept]) -> At {
        self.place(concepts.iter().map(|c| key(c.id)).collect())
    }

    /// A set that the definition does not have holds nothing, as in Circe.
    fn of(&self, definition: At, codeset: i32) -> At {
        let named = self.named.get(definition);
        named
            .and_then(|named| named.get(&codeset).copied())
            .unwrap_or(self.empty)
    }
}

/// Items in an order of their own and without names, so that equal sets are found equal.
fn canonical(items: &[ConceptItem]) -> Vec<ConceptItem> {
    let distinct: BTreeSet<_> = items
        .iter()
        .map(|i| (i.concept.id, i.excluded, i.descendants, i.mapped))
        .collect();
    distinct
        .into_iter()
        .map(|(id, excluded, descendants, mapped)| ConceptItem {
            concept: NamedConcept {
                id,
                name: "".into(),
            },
            excluded,
            descendants,
            mapped,
        })
        .collect()
}

struct Compiler {
    sets: Sets,
    slots: Slots,
    leaves: Interner<Leaf>,
    queries: Interner<Query>,
    groups: Interner<GroupPlan>,
    visits: bool,
    specialties: bool,
    places: bool,
}

impl Compiler {
    fn finish(
        self,
        store: &Store,
        snapshot: &Snapshot,
        cohorts: Vec<CohortPlan>,
        mut warnings: Vec<String>,
    ) -> Result<Plan> {
        let leaves = self.leaves.into_items();
        let queries = self.queries.into_items();
        let tables = self.slots.routed(&leaves, &self.sets.distinct);
        let mut entered_by = vec![Vec::new(); leaves.len()];
        for (cohort, number) in cohorts.iter().zip(0_u32..) {
            let through: BTreeSet<At> = cohort.primary.iter().map(|&q| queries[q].leaf).collect();
            for leaf in through {
                entered_by[leaf].push(number);
            }
        }
        lookups::warn_of_missing(snapshot, &tables, &mut warnings);
        let mut lookup = |wanted: bool, table, key, value| {
            if wanted {
                lookups::pairs(store, snapshot, table, key, value, &mut warnings)
            } else {
                Ok(HashMap::new())
            }
        };
        let specialties = lookup(
            self.specialties,
            "provider",
            "provider_id",
            "specialty_concept_id",
        )?;
        let places = lookup(
            self.places,
            "care_site",
            "care_site_id",
            "place_of_service_concept_id",
        )?;
        Ok(Plan {
            sets: self.sets.distinct,
            tables,
            leaves,
            queries,
            groups: self.groups.into_items(),
            cohorts,
            entered_by,
            visits: self.visits,
            specialties,
            places,
            warnings,
        })
    }

    fn cohort(&mut self, at: At, definition: &Definition) -> CohortPlan {
        let primary = definition.primary.criteria.iter();
        let primary = primary.map(|criteria| self.query(at, criteria)).collect();
        // Circe takes no limit of qualified events where there are no additional criteria, and takes one where
        // there is an empty group of them.
        let qualified_limit = match definition.additional {
            Some(_) => definition.qualified_limit,
            None => Limit::All,
        };
        let additional = definition.additional.as_ref();
        let additional = additional.filter(|group| !group.is_empty());
        let additional = additional.map(|group| self.group(at, group));
        let rules = definition.rules.iter();
        let rules = rules.map(|rule| self.group(at, &rule.group)).collect();
        let censoring = definition.censoring.iter();
        let censoring = censoring.map(|criteria| self.query(at, criteria)).collect();
        CohortPlan {
            id: definition.id,
            name: definition.name.clone(),
            primary,
            prior_days: definition.primary.prior_days,
            post_days: definition.primary.post_days,
            primary_limit: definition.primary.limit,
            additional,
            qualified_limit,
            rules,
            rule_names: definition.rules.iter().map(|r| r.name.clone()).collect(),
            expression_limit: definition.expression_limit,
            end: self.end(at, definition.end),
            censoring,
            era_pad: definition.era_pad,
            window_start: definition.censor_window.start,
            window_end: definition.censor_window.end,
        }
    }

    fn end(&mut self, at: At, end: EndStrategy) -> EndPlan {
        match end {
            EndStrategy::ObservationEnd => EndPlan::ObservationEnd,
            EndStrategy::DateOffset { field, offset } => EndPlan::DateOffset { field, offset },
            EndStrategy::CustomEra {
                codeset,
                gap_days,
                offset,
                days_supply,
            } => {
                let set = self.sets.of(at, codeset);
                let domain = Domain::DrugExposure;
                // The days of supply decide when an exposure without an end ends: `End::Supply` reads them.
                let by_concept = self.leaves.place(Leaf {
                    domain,
                    concept: Some(set),
                    source: None,
                });
                let by_source = self.leaves.place(Leaf {
                    domain,
                    concept: None,
                    source: Some(set),
                });
                EndPlan::CustomEra {
                    by_concept,
                    by_source,
                    gap_days,
                    offset,
                    days_supply,
                }
            }
        }
    }

    fn query(&mut self, at: At, criteria: &Criteria) -> At {
        let def = criteria.domain.def();
        self.slots.table(criteria.domain);
        let leaf = Leaf {
            domain: criteria.domain,
            concept: criteria
                .codeset
                .filter(|_| def.concept.is_some())
                .map(|codeset| self.sets.of(at, codeset)),
            source: criteria
                .source_codeset
                .filter(|_| def.source.is_some())
                .map(|codeset| self.sets.of(at, codeset)),
        };
        let filters = criteria.filters.iter();
        let mut tests: Vec<PlanTest> = filters
            .map(|filter| self.test(at, Some(criteria.domain), filter))
            .collect();
        // Cheap tests first; the order changes no result.
        tests.sort_by_key(cost);
        let group = criteria.correlated.as_ref();
        let query = Query {
            leaf: self.leaves.place(leaf),
            first: criteria.first,
            tests,
            adjust: criteria.adjust,
            period: criteria.user_period,
            group: group.map(|group| self.group(at, group)),
        };
        self.queries.place(query)
    }

    /// A test of a record, or of the person at an index event where there is no domain.
    fn test(&mut self, at: At, domain: Option<Domain>, filter: &Filter) -> PlanTest {
        match &filter.test {
            Test::Concepts {
                field,
                concepts,
                exclude,
            } => PlanTest::Concept {
                field: self.field(domain, *field),
                set: self.sets.listed(concepts),
                exclude: *exclude,
            },
            Test::ConceptSet {
                field,
                codeset,
                exclude,
            } => PlanTest::Concept {
                field: self.field(domain, *field),
                set: self.sets.of(at, *codeset),
                exclude: *exclude,
            },
            Test::Number { operand, range } => PlanTest::Number {
                operand: self.operand(domain, *operand),
                operator: range.operator,
                value: Bits::of(range.value),
                extent: Bits::of(range.extent),
            },
            Test::Start(range) => PlanTest::Start(*range),
            Test::End(range) => PlanTest::End(*range),
            Test::Text { column, filter } => PlanTest::Text {
                column: self.column(domain, column, ColumnKind::Texts),
                filter: filter.clone(),
            },
            Test::Abnormal => PlanTest::Abnormal {
                value: self.column(domain, "value_as_number", ColumnKind::Numbers),
                low: self.column(domain, "range_low", ColumnKind::Numbers),
                high: self.column(domain, "range_high", ColumnKind::Numbers),
                concept: self.column(domain, "value_as_concept_id", ColumnKind::Integers),
            },
        }
    }

    fn column(&mut self, domain: Option<Domain>, name: &'static str, kind: ColumnKind) -> At {
        // Demographic criteria have no columns: their attributes are of the person.
        domain.map_or(0, |domain| self.slots.table(domain).slot(name, kind))
    }

    fn field(&mut self, domain: Option<Domain>, field: Field) -> PlanField {
        let integers = ColumnKind::Integers;
        match field {
            Field::Column(name) => PlanField::Column(self.column(domain, name, integers)),
            Field::Gender => PlanField::Gender,
            Field::Race => PlanField::Race,
            Field::Ethnicity => PlanField::Ethnicity,
            Field::Specialty => {
                self.specialties = true;
                PlanField::Specialty(self.column(domain, "provider_id", integers))
            }
            Field::Visit => {
                self.visits = true;
                PlanField::Visit
            }
            Field::Place => {
                self.places = true;
                PlanField::Place(self.column(domain, "care_site_id", integers))
            }
        }
    }

    fn operand(&mut self, domain: Option<Domain>, operand: Operand) -> PlanOperand {
        let numbers = ColumnKind::Numbers;
        match operand {
            Operand::Column(name) => PlanOperand::Column(self.column(domain, name, numbers)),
            Operand::Length => PlanOperand::Length,
            Operand::AgeAtStart => PlanOperand::AgeAtStart,
            Operand::AgeAtEnd => PlanOperand::AgeAtEnd,
            Operand::Ratio { value, bound } => PlanOperand::Ratio {
                value: self.column(domain, value, numbers),
                bound: self.column(domain, bound, numbers),
            },
        }
    }

    fn group(&mut self, at: At, group: &Group) -> At {
        let criteria = group.criteria.iter();
        let criteria = criteria.map(|c| self.correlated(at, c)).collect();
        let demographics = group.demographics.iter().map(|demographic| {
            let filters = demographic.filters.iter();
            filters.map(|filter| self.test(at, None, filter)).collect()
        });
        let demographics = demographics.collect();
        let groups = group.groups.iter().map(|inner| self.group(at, inner));
        let plan = GroupPlan {
            kind: group.kind,
            criteria,
            demographics,
            groups: groups.collect(),
        };
        self.groups.place(plan)
    }

    fn correlated(&mut self, at: At, correlated: &Correlated) -> CorrelatedPlan {
        let domain = correlated.criteria.domain;
        let query = self.query(at, &correlated.criteria);
        let within_period = !correlated.ignore_observation_period;
        let windows = [Some(correlated.start_window), correlated.end_window];
        let windows = windows.into_iter().flatten();
        let distinct = correlated.occurrence.distinct;
        CorrelatedPlan {
            query,
            windows: windows.filter_map(|w| window(w, within_period)).collect(),
            restrict_visit: correlated.restrict_visit,
            within_period,
            kind: correlated.occurrence.kind,
            count: correlated.occurrence.count,
            distinct: distinct.map(|column| self.count(domain, column)),
        }
    }

    fn count(&mut self, domain: Domain, column: CountColumn) -> CountPlan {
        match column {
            CountColumn::Start => CountPlan::Start,
            CountColumn::End => CountPlan::End,
            CountColumn::Visit => CountPlan::Visit,
            CountColumn::Duration => CountPlan::Duration,
            CountColumn::One => CountPlan::One,
            CountColumn::Column(name) => {
                let kind = if name.ends_with("_concept_id") {
                    ColumnKind::Integers
                } else {
                    ColumnKind::Numbers
                };
                CountPlan::Column {
                    domain,
                    column: self.slots.table(domain).slot(name, kind),
                }
            }
            CountColumn::ConceptOrZero(name) => CountPlan::ConceptOrZero {
                domain,
                column: self.slots.table(domain).slot(name, ColumnKind::Integers),
            },
        }
    }
}

/// A window; none where it asks nothing, as an open side does when observation periods are ignored.
fn window(window: Window, within_period: bool) -> Option<WindowPlan> {
    let side = |endpoint| match endpoint {
        Endpoint::Days(_) => Some(endpoint),
        Endpoint::AllBefore | Endpoint::AllAfter => within_period.then_some(endpoint),
    };
    let field = |end| {
        if end {
            DateField::End
        } else {
            DateField::Start
        }
    };
    let plan = WindowPlan {
        from: side(window.from),
        to: side(window.to),
        index: field(window.use_index_end),
        event: field(window.use_event_end),
    };
    (plan.from.is_some() || plan.to.is_some()).then_some(plan)
}

fn cost(test: &PlanTest) -> u8 {
    match test {
        PlanTest::Start(_) | PlanTest::End(_) | PlanTest::Number { .. } => 0,
        PlanTest::Concept {
            field: PlanField::Visit,
            ..
        }
        | PlanTest::Text { .. } => 2,
        PlanTest::Concept { .. } | PlanTest::Abnormal { .. } => 1,
    }
}
