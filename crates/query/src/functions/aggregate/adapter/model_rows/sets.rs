//! Sets, such as the concepts of a person, as words: their members in order, each with an end.
//!
//! Rows with the same members have the same word, and travel and merge like those of a factor.

use std::fmt::Write;

use arrow::array::{Array, ArrayRef, AsArray, StringArray, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field};
use datafusion::common::Result;

use crate::functions::aggregate::adapter::refuse;

/// What ends a member: no text has it but to separate.
const END: char = '\u{1f}';

/// One word for each list, NULL where the list is. Members that are NULL are none.
pub(super) fn as_words(lists: &ArrayRef) -> Result<StringArray> {
    let words = DataType::List(Field::new_list_field(DataType::Utf8, true).into());
    let lists = cast(lists, &words)?;
    let lists = lists.as_list::<i32>();
    let members = lists.values().as_string::<i32>();
    if members.iter().flatten().any(|member| member.contains(END)) {
        return refuse!("a word in a list has the separator U+001F in it; leave it out");
    }
    let mut words = StringBuilder::with_capacity(lists.len(), members.value_data().len());
    let mut of_row: Vec<&str> = Vec::new();
    for row in 0..lists.len() {
        if lists.is_null(row) {
            words.append_null();
            continue;
        }
        let places = lists.offsets()[row]..lists.offsets()[row + 1];
        let places = places.filter_map(|place| usize::try_from(place).ok());
        of_row.clear();
        of_row.extend(
            places
                .filter(|place| members.is_valid(*place))
                .map(|place| members.value(place)),
        );
        of_row.sort_unstable();
        of_row.dedup();
        for member in &of_row {
            // Writing to memory cannot fail.
            let _ = write!(words, "{member}{END}");
        }
        words.append_value("");
    }
    Ok(words.finish())
}

/// The members of a set that is kept as a word.
pub(crate) fn members(word: &str) -> impl Iterator<Item = &str> {
    word.split_terminator(END)
}
