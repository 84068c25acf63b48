//! The persons of a delivery and of the store, with the bounds of their lives.

use std::collections::HashMap;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Date32Type, Int64Type};

use crate::parse::days_from_civil;

/// The days between which a person's records are plausible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Life {
    /// The first day the person may have been born on.
    pub(crate) birth: i32,
    pub(crate) death: i32,
    /// Whether the person has a row in `person`; a death alone does not make one.
    pub(crate) is_known: bool,
}

const WHOLE: Life = Life {
    birth: i32::MIN,
    death: i32::MAX,
    is_known: false,
};

/// Persons on their way to [`People`].
#[derive(Debug, Default, Clone)]
pub(crate) struct PeopleBuilder {
    lives: HashMap<i64, Life>,
}

impl PeopleBuilder {
    /// Takes rows of `person` or `death`; rows of other tables only name persons.
    pub(crate) fn add(&mut self, table: &str, batch: &RecordBatch, person_key: &str) {
        let Some(persons) = batch
            .column_by_name(person_key)
            .and_then(|column| column.as_primitive_opt::<Int64Type>())
        else {
            return;
        };
        let births = (table == "person").then(|| births(batch));
        let deaths = if table == "death" {
            days(batch, "death_date")
        } else {
            None
        };
        for row in 0..batch.num_rows() {
            let life = self.lives.entry(persons.value(row)).or_insert(WHOLE);
            if let Some(births) = &births {
                life.is_known = true;
                // The earliest of several birth days: a doubtful one accuses no record.
                let birth = births[row].unwrap_or(i32::MIN);
                life.birth = if life.birth == i32::MIN {
                    birth
                } else {
                    life.birth.min(birth)
                };
            }
            if let Some(deaths) = &deaths
                && let Some(death) = deaths[row]
            {
                life.death = if life.death == i32::MAX {
                    death
                } else {
                    life.death.max(death)
                };
            }
        }
    }

    pub(crate) fn finish(self) -> People {
        let mut lives: Vec<(i64, Life)> = self.lives.into_iter().collect();
        lives.sort_unstable_by_key(|(person, _)| *person);
        People { lives }
    }
}

/// Persons in order of their ids.
#[derive(Debug, Default)]
pub(crate) struct People {
    lives: Vec<(i64, Life)>,
}

impl People {
    pub(crate) fn ids(&self) -> impl Iterator<Item = i64> + '_ {
        self.lives.iter().map(|(person, _)| *person)
    }

    pub(crate) fn len(&self) -> usize {
        self.lives.len()
    }

    /// Walks along with rows that come in order of persons.
    pub(crate) fn cursor(&self) -> Cursor<'_> {
        Cursor {
            people: self,
            at: 0,
        }
    }
}

/// A place in the people that only moves forward.
#[derive(Debug)]
pub(crate) struct Cursor<'a> {
    people: &'a People,
    at: usize,
}

impl Cursor<'_> {
    pub(crate) fn life(&mut self, person: i64) -> Life {
        let lives = &self.people.lives;
        if lives.get(self.at).is_none_or(|(here, _)| *here != person) {
            // Most steps go to the next person.
            let next = self.at + 1;
            self.at = match lives.get(next) {
                Some((here, _)) if *here == person => next,
                _ => lives.partition_point(|(here, _)| *here < person),
            };
        }
        lives
            .get(self.at)
            .filter(|(here, _)| *here == person)
            .map_or(WHOLE, |(_, life)| *life)
    }
}

/// A date or datetime column as days.
pub(crate) fn days(batch: &RecordBatch, column: &str) -> Option<Vec<Option<i32>>> {
    let column = batch.column_by_name(column)?;
    Some(
        as_days(column)?
            .as_primitive::<Date32Type>()
            .iter()
            .collect(),
    )
}

/// A date or datetime column as dates.
pub(crate) fn as_days(column: &ArrayRef) -> Option<ArrayRef> {
    match column.data_type() {
        DataType::Date32 => Some(ArrayRef::clone(column)),
        DataType::Timestamp(..) => cast(column, &DataType::Date32).ok(),
        _ => None,
    }
}

/// The first day each person may have been born on: the start of the month or year where that is all that is known.
fn births(batch: &RecordBatch) -> Vec<Option<i32>> {
    let exact = days(batch, "birth_datetime");
    let part = |name: &str| {
        let column = batch
            .column_by_name(name)
            .and_then(|column| cast(column, &DataType::Int64).ok());
        column.map(|column| column.as_primitive::<Int64Type>().clone())
    };
    let (years, months, dates) = (
        part("year_of_birth"),
        part("month_of_birth"),
        part("day_of_birth"),
    );
    let value = |column: &Option<arrow::array::Int64Array>, row: usize| {
        column
            .as_ref()
            .filter(|column| column.is_valid(row))
            .map(|column| column.value(row))
    };
    let of_parts = |row: usize| {
        let year = i32::try_from(value(&years, row)?)
            .ok()
            .filter(|year| (1000..3000).contains(year))?;
        let month = value(&months, row).and_then(|month| u32::try_from(month).ok());
        let day = value(&dates, row)
            .and_then(|day| u32::try_from(day).ok())
            .filter(|_| month.is_some());
        days_from_civil(year, month.unwrap_or(1), day.unwrap_or(1))
            .or_else(|| days_from_civil(year, 1, 1))
    };
    (0..batch.num_rows())
        .map(|row| {
            exact
                .as_ref()
                .and_then(|exact| exact[row])
                .or_else(|| of_parts(row))
        })
        .collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use arrow::array::{Date32Array, Int32Array, Int64Array};
    use std::sync::Arc;

    #[test]
    fn lives_of_persons() {
        let mut builder = PeopleBuilder::default();
        let persons = RecordBatch::try_from_iter([
            (
                "person_id",
                Arc::new(Int64Array::from(vec![5, 3])) as ArrayRef,
            ),
            (
                "year_of_birth",
                Arc::new(Int32Array::from(vec![1970, 1971])),
            ),
            (
                "month_of_birth",
                Arc::new(Int32Array::from(vec![Some(1), None])),
            ),
            ("day_of_birth", Arc::new(Int32Array::from(vec![2, 31]))),
        ]);
        builder.add("person", &persons.unwrap(), "person_id");
        let deaths = RecordBatch::try_from_iter([
            (
                "person_id",
                Arc::new(Int64Array::from(vec![3, 9])) as ArrayRef,
            ),
            ("death_date", Arc::new(Date32Array::from(vec![400, 500]))),
        ]);
        builder.add("death", &deaths.unwrap(), "person_id");
        let people = builder.finish();
        assert_eq!(people.ids().collect::<Vec<_>>(), [3, 5, 9]);
        let mut cursor = people.cursor();
        assert_eq!(cursor.life(1), WHOLE);
        assert_eq!(
            cursor.life(3),
            Life {
                birth: 365,
                death: 400,
                is_known: true
            }
        );
        assert_eq!(
            cursor.life(5),
            Life {
                birth: 1,
                death: i32::MAX,
                is_known: true
            }
        );
        assert!(!cursor.life(9).is_known);
        assert_eq!(cursor.life(10), WHOLE);
    }
}
