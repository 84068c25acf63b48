//! Reads concept sets and lists of concepts.

use std::sync::Arc;

use super::cursor::{Node, Notes};
use super::model::{ConceptItem, ConceptSet, NamedConcept};

pub(crate) fn concept_set(node: &Node<'_>, notes: &mut Notes) -> Option<ConceptSet> {
    let mut object = node.object(notes)?;
    let id = object.need("id", notes).and_then(|n| n.small(notes));
    let name = object.get("name").and_then(|n| n.text(notes)).unwrap_or("");
    let expression = object.need("expression", notes);
    let items = expression.map(|n| items(&n, notes)).unwrap_or_default();
    // ATLAS exports who made a concept set and when, which changes nothing.
    Some(ConceptSet {
        id: id?,
        name: name.to_owned(),
        items,
    })
}

fn items(node: &Node<'_>, notes: &mut Notes) -> Vec<ConceptItem> {
    let Some(mut object) = node.object(notes) else {
        return Vec::new();
    };
    let list = object.need("items", notes);
    let list = list.map(|n| n.list(notes)).unwrap_or_default();
    list.iter().filter_map(|n| item(n, notes)).collect()
}

fn item(node: &Node<'_>, notes: &mut Notes) -> Option<ConceptItem> {
    let mut object = node.object(notes)?;
    let concept = object.need("concept", notes);
    let item = ConceptItem {
        concept: concept.and_then(|n| concept_of(&n, notes))?,
        excluded: object.flag("isExcluded", notes),
        descendants: object.flag("includeDescendants", notes),
        mapped: object.flag("includeMapped", notes),
    };
    object.refuse_unknown("a concept set's item", notes);
    Some(item)
}

fn concept_of(node: &Node<'_>, notes: &mut Notes) -> Option<NamedConcept> {
    let mut object = node.object(notes)?;
    let id = object.need("CONCEPT_ID", notes);
    let id = id.and_then(|n| n.integer(notes))?;
    let name = object.get("CONCEPT_NAME").and_then(|n| n.value.as_str());
    Some(NamedConcept {
        id,
        name: Arc::from(name.unwrap_or_default()),
    })
}

/// A list of concepts, as attributes have them.
pub(crate) fn concepts(node: &Node<'_>, notes: &mut Notes) -> Vec<NamedConcept> {
    let list = node.list(notes);
    list.iter().filter_map(|n| concept_of(n, notes)).collect()
}
