//! Tests of a record's attributes, or of the person at an index event.

use columna_model::Day;

use super::person::Evaluator;
use super::table::Table;
use super::{MISSING, MISSING_DAY};
use crate::definition::{Operator, TextFilter};
use crate::plan::{PlanField, PlanOperand, PlanTest, has};

/// The concepts of "abnormally low" and "abnormally high", which Circe counts as abnormal beside values out of range.
const ABNORMAL: [i64; 2] = [4_155_142, 4_155_143];

impl Evaluator<'_> {
    /// Whether a record, or the index event where there is none, passes a test. What is missing passes none.
    pub(crate) fn holds_for(
        &self,
        test: &PlanTest,
        record: Option<(&Table, usize)>,
        start: i32,
        end: i32,
    ) -> bool {
        match test {
            PlanTest::Start(range) => {
                start != MISSING_DAY
                    && range
                        .operator
                        .holds(&start, &range.value.0, &range.extent.0)
            }
            PlanTest::End(range) => {
                end != MISSING_DAY && range.operator.holds(&end, &range.value.0, &range.extent.0)
            }
            PlanTest::Concept {
                field,
                set,
                exclude,
            } => {
                let concept = self.concept(*field, record);
                concept != MISSING && has(&self.plan.sets[*set], concept) != *exclude
            }
            PlanTest::Number {
                operand,
                operator,
                value,
                extent,
            } => {
                let number = self.number(*operand, record, start, end);
                compares(*operator, number, value.get(), extent.get())
            }
            PlanTest::Text { column, filter } => record
                .and_then(|(table, row)| table.text(*column, row))
                .is_some_and(|text| passes(filter, text)),
            PlanTest::Abnormal {
                value,
                low,
                high,
                concept,
            } => record.is_some_and(|(table, row)| {
                let number = table.number(*value, row);
                // Comparisons with a missing bound are false, and so are those with a missing value.
                number < table.number(*low, row)
                    || number > table.number(*high, row)
                    || ABNORMAL.contains(&table.integer(*concept, row))
            }),
        }
    }

    fn concept(&self, field: PlanField, record: Option<(&Table, usize)>) -> i64 {
        let integer = |column| record.map_or(MISSING, |(table, row)| table.integer(column, row));
        match field {
            PlanField::Column(column) => integer(column),
            PlanField::Gender => self.facts.gender,
            PlanField::Race => self.facts.race,
            PlanField::Ethnicity => self.facts.ethnicity,
            PlanField::Specialty(column) => {
                let specialty = self.plan.specialties.get(&integer(column));
                specialty.copied().unwrap_or(MISSING)
            }
            PlanField::Place(column) => {
                let place = self.plan.places.get(&integer(column));
                place.copied().unwrap_or(MISSING)
            }
            PlanField::Visit => {
                record.map_or(MISSING, |(table, row)| self.visit_concept(table.visit(row)))
            }
        }
    }

    fn visit_concept(&self, visit: i64) -> i64 {
        if visit == MISSING {
            return MISSING;
        }
        let visits = &self.bucket.visits;
        let mut rows = self.visits.clone();
        rows.find(|&row| visits.ids[row] == visit)
            .map_or(MISSING, |row| visits.concepts[row])
    }

    fn number(
        &self,
        operand: PlanOperand,
        record: Option<(&Table, usize)>,
        start: i32,
        end: i32,
    ) -> f64 {
        let number = |column| record.map_or(f64::NAN, |(table, row)| table.number(column, row));
        match operand {
            PlanOperand::Column(column) => number(column),
            PlanOperand::Length if start == MISSING_DAY || end == MISSING_DAY => f64::NAN,
            PlanOperand::Length => f64::from(end) - f64::from(start),
            PlanOperand::AgeAtStart => self.age(start),
            PlanOperand::AgeAtEnd => self.age(end),
            PlanOperand::Ratio { value, bound } => {
                let bound = number(bound);
                if bound == 0.0 {
                    f64::NAN
                } else {
                    number(value) / bound
                }
            }
        }
    }

    /// The year of a day less the year of birth, which is what Circe calls the age.
    fn age(&self, day: i32) -> f64 {
        if day == MISSING_DAY || self.facts.birth_year == MISSING {
            return f64::NAN;
        }
        let born = i32::try_from(self.facts.birth_year).unwrap_or(i32::MIN);
        f64::from(Day(day).civil().year) - f64::from(born)
    }
}

fn compares(operator: Operator, number: f64, value: f64, extent: f64) -> bool {
    !number.is_nan() && operator.holds(&number, &value, &extent)
}

fn passes(filter: &TextFilter, text: &str) -> bool {
    like(filter.pattern.as_bytes(), text.as_bytes()) != filter.negated
}

/// SQL's LIKE, without an escape character.
fn like(pattern: &[u8], text: &[u8]) -> bool {
    // The place to go on from when what follows the last `%` does not fit.
    let mut retry: Option<(usize, usize)> = None;
    let (mut p, mut t) = (0, 0);
    while t < text.len() {
        match pattern.get(p) {
            Some(b'%') => {
                retry = Some((p + 1, t));
                p += 1;
                continue;
            }
            Some(b'_') => {
                t += width(text[t]);
                p += 1;
                continue;
            }
            Some(&byte) if byte == text[t] => {
                t += 1;
                p += 1;
                continue;
            }
            _ => {}
        }
        let Some((after, from)) = retry else {
            return false;
        };
        retry = Some((after, from + 1));
        (p, t) = (after, from + 1);
    }
    pattern[p..].iter().all(|&byte| byte == b'%')
}

/// The bytes of the UTF-8 character that begins with this byte.
fn width(first: u8) -> usize {
    match first {
        0xF0.. => 4,
        0xE0.. => 3,
        0xC0.. => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn like_matches_as_sql_does() {
        for (pattern, text, matches) in [
            ("abc", "abc", true),
            ("abc", "abcd", false),
            ("ab%", "abcd", true),
            ("%cd", "abcd", true),
            ("%b%", "abcd", true),
            ("%x%", "abcd", false),
            ("a_c", "abc", true),
            ("a_c", "aäc", true),
            ("a_c", "ac", false),
            ("", "", true),
            ("%", "", true),
            ("", "a", false),
            ("%ab%ab", "xabyabzab", true),
            ("ABC", "abc", false),
        ] {
            assert_eq!(
                like(pattern.as_bytes(), text.as_bytes()),
                matches,
                "{pattern} {text}"
            );
        }
    }
}
