//! Reads criteria: a domain, and the attributes that its table of attributes knows.

use super::concept_set::concepts;
use super::cursor::{Node, Notes, Object, kind};
use super::group::group;
use super::model::{Criteria, DateAdjustment, DateField, Demographic, Filter, Period, Test};
use super::range::{Precision, date, date_range, number_range, text_filter};
use crate::domain::{Attribute, Domain, Field, Kind};

/// Criteria wrapped in their domain's name: `{"ConditionOccurrence": {…}}`.
pub(crate) fn criteria(node: &Node<'_>, notes: &mut Notes) -> Option<Criteria> {
    let outer = node.object(notes)?;
    let Some((name, value)) = outer.single() else {
        notes.invalid(
            &node.path,
            "criteria are wrapped in the name of one domain, such as {\"ConditionOccurrence\": {…}}",
        );
        return None;
    };
    let path = format!("{}.{name}", node.path);
    let Some(domain) = Domain::by_name(name) else {
        let why = if name == "LocationRegion" {
            "`LocationRegion` needs the table `location_history`, which OMOP CDM 5.3 and 5.4 do not have"
                .to_owned()
        } else {
            format!("`{name}` is no domain of criteria")
        };
        notes.unsupported(&path, why);
        return None;
    };
    let inner = Node { value, path };
    let mut object = inner.object(notes)?;
    let mut criteria = Criteria {
        domain,
        codeset: None,
        source_codeset: None,
        first: false,
        filters: Vec::new(),
        adjust: None,
        user_period: Period::default(),
        correlated: None,
        path: inner.path.clone(),
    };
    for attribute in domain.def().attributes {
        read(attribute, &mut object, &mut criteria, notes);
    }
    if let Some(node) = object.get("DateAdjustment") {
        if domain == Domain::Specimen {
            notes.unsupported(
                &node.path,
                "Circe ignores the date adjustment of a specimen",
            );
        }
        criteria.adjust = date_adjustment(domain, &node, notes);
    }
    if let Some(node) = object.get("CorrelatedCriteria") {
        criteria.correlated = group(&node, notes).filter(|group| !group.is_empty());
    }
    object.refuse_unknown(name, notes);
    Some(criteria)
}

fn read(attribute: &Attribute, object: &mut Object<'_>, into: &mut Criteria, notes: &mut Notes) {
    match attribute.kind {
        Kind::Codeset => into.codeset = object.integer(attribute.name, notes),
        Kind::SourceCodeset => into.source_codeset = object.integer(attribute.name, notes),
        Kind::First => into.first = object.flag(attribute.name, notes),
        Kind::UserPeriod => {
            if let Some(node) = object.get(attribute.name) {
                into.user_period = period(&node, notes);
            }
        }
        other => {
            let tests = tests(attribute.name, other, object, notes);
            into.filters.extend(tests.into_iter().map(|test| Filter {
                attribute: attribute.name,
                test,
            }));
        }
    }
}

/// The tests that an attribute stands for: none where it is absent, two where it is given as a list and as a set.
fn tests(name: &'static str, kind: Kind, object: &mut Object<'_>, notes: &mut Notes) -> Vec<Test> {
    let mut tests = Vec::new();
    match kind {
        Kind::Concepts(field) => {
            listed(name, field, None, object, &mut tests, notes);
            set_selected(with_suffix(name), field, object, &mut tests, notes);
        }
        Kind::ConceptsOrNot(field, flag) => {
            listed(name, field, Some(flag), object, &mut tests, notes);
            set_selected(with_suffix(name), field, object, &mut tests, notes);
        }
        Kind::Selection(field) => set_selected(name, field, object, &mut tests, notes),
        _ => {
            let Some(node) = object.get(name) else {
                return tests;
            };
            tests.extend(single(name, kind, &node, notes));
        }
    }
    tests
}

fn single(name: &str, kind: Kind, node: &Node<'_>, notes: &mut Notes) -> Option<Test> {
    match kind {
        Kind::StartDate => date_range(node, notes).map(Test::Start),
        Kind::EndDate => date_range(node, notes).map(Test::End),
        Kind::Whole(operand) => {
            number_range(node, Precision::Whole, notes).map(|range| Test::Number { operand, range })
        }
        Kind::Decimal(operand) => number_range(node, Precision::FourDecimals, notes)
            .map(|range| Test::Number { operand, range }),
        Kind::Text(column) => text_filter(node, notes).map(|filter| Test::Text { column, filter }),
        Kind::Abnormal => node
            .boolean(notes)
            .filter(|abnormal| *abnormal)
            .map(|_| Test::Abnormal),
        Kind::SetNumber(field) => node.small(notes).map(|codeset| Test::ConceptSet {
            field,
            codeset,
            exclude: false,
        }),
        Kind::Refused(why) => {
            notes.unsupported(&node.path, format!("`{name}` is not supported: {why}"));
            None
        }
        Kind::Codeset
        | Kind::SourceCodeset
        | Kind::First
        | Kind::UserPeriod
        | Kind::Concepts(_)
        | Kind::ConceptsOrNot(..)
        | Kind::Selection(_) => None,
    }
}

/// A list of concepts; an empty one asks nothing.
fn listed(
    name: &'static str,
    field: Field,
    flag: Option<&'static str>,
    object: &mut Object<'_>,
    tests: &mut Vec<Test>,
    notes: &mut Notes,
) {
    let exclude = flag.is_some_and(|flag| object.flag(flag, notes));
    let Some(node) = object.get(name) else {
        return;
    };
    let concepts = concepts(&node, notes);
    if !concepts.is_empty() {
        tests.push(Test::Concepts {
            field,
            concepts,
            exclude,
        });
    }
}

/// A concept set by its number, as Circe 1.12 has beside every list.
fn set_selected(
    name: &'static str,
    field: Field,
    object: &mut Object<'_>,
    tests: &mut Vec<Test>,
    notes: &mut Notes,
) {
    let Some(node) = object.get(name) else {
        return;
    };
    if matches!(field, Field::Race | Field::Ethnicity) {
        notes.unsupported(
            &node.path,
            format!("`{name}` is not supported: Circe compares it with the person's gender"),
        );
        return;
    }
    let Some(mut selection) = node.object(notes) else {
        return;
    };
    let codeset = selection.integer("CodesetId", notes);
    let exclude = selection.flag("IsExclusion", notes);
    selection.refuse_unknown("a concept set selection", notes);
    match codeset {
        Some(codeset) => tests.push(Test::ConceptSet {
            field,
            codeset,
            exclude,
        }),
        None => notes.unsupported(
            &node.path,
            "a selection without `CodesetId` means different things to different releases of Circe",
        ),
    }
}

/// The name under which a concept set stands beside a list of concepts.
fn with_suffix(name: &'static str) -> &'static str {
    match name {
        "ConditionType" => "ConditionTypeCS",
        "ConditionStatus" => "ConditionStatusCS",
        "DeathType" => "DeathTypeCS",
        "DeviceType" => "DeviceTypeCS",
        "DrugType" => "DrugTypeCS",
        "RouteConcept" => "RouteConceptCS",
        "DoseUnit" => "DoseUnitCS",
        "MeasurementType" => "MeasurementTypeCS",
        "Operator" => "OperatorCS",
        "ValueAsConcept" => "ValueAsConceptCS",
        "ObservationType" => "ObservationTypeCS",
        "Qualifier" => "QualifierCS",
        "PeriodType" => "PeriodTypeCS",
        "ProcedureType" => "ProcedureTypeCS",
        "Modifier" => "ModifierCS",
        "SpecimenType" => "SpecimenTypeCS",
        "AnatomicSite" => "AnatomicSiteCS",
        "DiseaseStatus" => "DiseaseStatusCS",
        "Unit" => "UnitCS",
        "Gender" => "GenderCS",
        "Race" => "RaceCS",
        "Ethnicity" => "EthnicityCS",
        "ProviderSpecialty" => "ProviderSpecialtyCS",
        "PlaceOfService" => "PlaceOfServiceCS",
        "VisitType" => "VisitTypeCS",
        // A list that no release of Circe has a set beside: the name is never in a definition.
        _ => "",
    }
}

/// What is asked of a person at an index event.
pub(crate) fn demographic(node: &Node<'_>, notes: &mut Notes) -> Option<Demographic> {
    use crate::domain::Operand;
    const ATTRIBUTES: [(&str, Kind); 6] = [
        ("Age", Kind::Whole(Operand::AgeAtStart)),
        ("Gender", Kind::Concepts(Field::Gender)),
        ("Race", Kind::Concepts(Field::Race)),
        ("Ethnicity", Kind::Concepts(Field::Ethnicity)),
        ("OccurrenceStartDate", Kind::StartDate),
        ("OccurrenceEndDate", Kind::EndDate),
    ];
    let mut object = node.object(notes)?;
    let mut filters = Vec::new();
    for (attribute, kind) in ATTRIBUTES {
        let tests = tests(attribute, kind, &mut object, notes);
        filters.extend(tests.into_iter().map(|test| Filter { attribute, test }));
    }
    object.refuse_unknown("demographic criteria", notes);
    Some(Demographic {
        filters,
        path: node.path.clone(),
    })
}

/// Two days, either of which may be missing.
pub(crate) fn period(node: &Node<'_>, notes: &mut Notes) -> Period {
    let Some(mut object) = node.object(notes) else {
        return Period::default();
    };
    let mut day = |key| {
        let node = object.get(key)?;
        date(&node, notes)
    };
    let period = Period {
        start: day("StartDate"),
        end: day("EndDate"),
    };
    object.refuse_unknown("a period", notes);
    period
}

fn date_adjustment(domain: Domain, node: &Node<'_>, notes: &mut Notes) -> Option<DateAdjustment> {
    let mut object = node.object(notes)?;
    let mut field = |key: &'static str, default, notes: &mut Notes| {
        let Some(node) = object.get(key) else {
            if object.is_null(key) {
                notes.invalid(
                    &object.path_of(key),
                    "START_DATE or END_DATE is expected, not null",
                );
            }
            return default;
        };
        match node.value.as_str() {
            Some("START_DATE") => DateField::Start,
            Some("END_DATE") => DateField::End,
            _ => {
                notes.invalid(
                    &node.path,
                    format!(
                        "START_DATE or END_DATE is expected, not {}",
                        kind(node.value)
                    ),
                );
                default
            }
        }
    };
    let (start_with, end_with) = (
        field("StartWith", DateField::Start, notes),
        field("EndWith", DateField::End, notes),
    );
    // Circe counts the start of a death from its date and the end from the day after, whatever is asked.
    let (start_with, end_with) = if domain == Domain::Death {
        (DateField::Start, DateField::End)
    } else {
        (start_with, end_with)
    };
    let adjustment = DateAdjustment {
        start_with,
        start_offset: object.integer("StartOffset", notes).unwrap_or(0),
        end_with,
        end_offset: object.integer("EndOffset", notes).unwrap_or(0),
    };
    object.refuse_unknown("a date adjustment", notes);
    Some(adjustment)
}
