//! People: sex, age, where they live, how they differ, and when the hospital saw them.
//!
//! The age pyramid follows Korea's around 2020 in five-year bands (rounded by us). Observation lasts from a first
//! contact to loss of contact (6 % a year) or the end of the window; one person in eight has a gap in between.

use columna_model::Day;

use crate::hazard::DAYS_PER_YEAR;
use crate::rng::{Rng, whole};

/// 2015-01-01, the first day of the window.
pub(crate) const WINDOW_START: i32 = 16_436;
/// 2024-12-31, the last day of the window.
pub(crate) const WINDOW_END: i32 = 20_088;
/// Districts that patients live in; one `location` each.
pub(crate) const DISTRICTS: usize = 25;

/// Sex as recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sex {
    /// Male.
    Male,
    /// Female.
    Female,
}

impl Sex {
    /// 0 for men, 1 for women: the order in every table of rates.
    pub(crate) const fn index(self) -> usize {
        match self {
            Self::Male => 0,
            Self::Female => 1,
        }
    }

    /// 1 for men, 0 for women, as a covariate.
    pub(crate) const fn male(self) -> f64 {
        match self {
            Self::Male => 1.0,
            Self::Female => 0.0,
        }
    }
}

/// Smoking as recorded at the first contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Smoking {
    /// Never smoked.
    Never,
    /// Smoked once.
    Former,
    /// Smokes.
    Current,
}

/// Days during which the hospital would have seen what happens, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Period {
    /// First day.
    pub(crate) start: i32,
    /// Last day.
    pub(crate) end: i32,
}

impl Period {
    /// Whether a day lies in the period.
    pub(crate) fn contains(&self, day: i32) -> bool {
        self.start <= day && day <= self.end
    }
}

/// A person before anything has happened.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    /// Sex.
    pub(crate) sex: Sex,
    /// Day of birth.
    pub(crate) birth: i32,
    /// District, from 0.
    pub(crate) district: usize,
    /// Smoking.
    pub(crate) smoking: Smoking,
    /// Adult height in cm.
    pub(crate) height: f64,
    /// How this person's blood pressure, lipids, blood count and weight differ from others', standard normal.
    pub(crate) traits: Traits,
    /// Observation periods if the person does not die, in order.
    pub(crate) periods: Vec<Period>,
}

/// Lasting differences between persons, each standard normal.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Traits {
    /// Blood pressure.
    pub(crate) pressure: f64,
    /// LDL cholesterol.
    pub(crate) lipids: f64,
    /// Haemoglobin.
    pub(crate) blood: f64,
    /// Body weight.
    pub(crate) weight: f64,
}

impl Person {
    /// Draws a person.
    pub(crate) fn draw(rng: &mut Rng) -> Self {
        let (sex, age) = sex_and_age(rng);
        let entry = entry(rng);
        let birth = entry - whole(age * DAYS_PER_YEAR);
        let smoking = match (sex, age < 15.0) {
            (_, true) => Smoking::Never,
            (Sex::Male, _) => [Smoking::Never, Smoking::Former, Smoking::Current]
                [rng.weighted(&[0.35, 0.30, 0.35])],
            (Sex::Female, _) => [Smoking::Never, Smoking::Former, Smoking::Current]
                [rng.weighted(&[0.90, 0.04, 0.06])],
        };
        let height = match sex {
            Sex::Male => 172.0 + 6.0 * rng.noise(),
            Sex::Female => 159.0 + 5.5 * rng.noise(),
        };
        let traits = Traits {
            pressure: rng.noise(),
            lipids: rng.noise(),
            blood: rng.noise(),
            weight: rng.noise(),
        };
        Self {
            sex,
            birth,
            district: rng.index(DISTRICTS),
            smoking,
            height,
            traits,
            periods: periods(rng, entry),
        }
    }

    /// The first day on which the hospital saw the person.
    pub(crate) fn entry(&self) -> i32 {
        self.periods
            .first()
            .map_or(WINDOW_START, |period| period.start)
    }

    /// Age in years, with its fraction.
    pub(crate) fn age(&self, day: i32) -> f64 {
        f64::from(day - self.birth) / DAYS_PER_YEAR
    }

    /// Age in completed years.
    pub(crate) fn age_years(&self, day: i32) -> i32 {
        let (birth, then) = (Day(self.birth).civil(), Day(day).civil());
        then.year - birth.year - i32::from((then.month, then.day) < (birth.month, birth.day))
    }
}

/// The birthday at an age; those born on 29 February have it on 1 March in common years.
pub(crate) fn birthday(birth: i32, age: i32) -> i32 {
    let born = Day(birth).civil();
    let year = born.year + age;
    Day::from_civil(year, born.month, born.day)
        .or_else(|| Day::from_civil(year, 3, 1))
        .map_or(birth, |day| day.0)
}

/// Persons per 1,000 of both sexes in bands of five years from 0 to 99: men, women.
const PYRAMID: [[f64; 2]; 20] = [
    [17.0, 16.0],
    [22.0, 21.0],
    [23.0, 22.0],
    [24.0, 22.0],
    [32.0, 29.0],
    [36.0, 32.0],
    [34.0, 31.0],
    [38.0, 36.0],
    [39.0, 38.0],
    [43.0, 42.0],
    [44.0, 43.0],
    [41.0, 41.0],
    [39.0, 40.0],
    [27.0, 29.0],
    [20.0, 23.0],
    [14.0, 19.0],
    [8.0, 13.0],
    [3.0, 7.0],
    [0.8, 2.4],
    [0.1, 0.5],
];

fn sex_and_age(rng: &mut Rng) -> (Sex, f64) {
    let total: f64 = PYRAMID.iter().flatten().sum();
    let mut left = rng.uniform() * total;
    let mut from = 0.0;
    for [men, women] in PYRAMID {
        for (sex, weight) in [(Sex::Male, men), (Sex::Female, women)] {
            left -= weight;
            if left < 0.0 {
                return (sex, from + 5.0 * rng.uniform());
            }
        }
        from += 5.0;
    }
    (Sex::Female, 60.0)
}

/// Two in five persons were known in the first year, the others come evenly until the middle of 2023.
fn entry(rng: &mut Rng) -> i32 {
    if rng.chance(0.4) {
        rng.between(WINDOW_START, WINDOW_START + 364)
    } else {
        rng.between(WINDOW_START + 365, WINDOW_END - 549)
    }
}

fn periods(rng: &mut Rng, entry: i32) -> Vec<Period> {
    const LOST_PER_YEAR: f64 = 0.06;
    let lost = f64::from(entry) + 90.0 + rng.exponential() / LOST_PER_YEAR * DAYS_PER_YEAR;
    let exit = whole(lost).min(WINDOW_END);
    let whole_period = Period {
        start: entry,
        end: exit,
    };
    if exit - entry > 1000 && rng.chance(0.16) {
        let from = rng.between(entry + 200, exit - 700);
        let to = from + rng.between(90, 500);
        return vec![
            Period {
                start: entry,
                end: from,
            },
            Period {
                start: to,
                end: exit,
            },
        ];
    }
    vec![whole_period]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_is_ten_years() {
        assert_eq!(Day::from_civil(2015, 1, 1), Some(Day(WINDOW_START)));
        assert_eq!(Day::from_civil(2024, 12, 31), Some(Day(WINDOW_END)));
    }

    #[test]
    fn birthdays_and_ages_agree() {
        for birth in [0, 59, 789, 10_000, -9_999] {
            for age in [1, 18, 40, 77] {
                let mut rng = Rng::new(&[1]);
                let person = Person {
                    birth,
                    ..Person::draw(&mut rng)
                };
                let day = birthday(birth, age);
                assert_eq!(person.age_years(day), age);
                assert_eq!(person.age_years(day - 1), age - 1);
            }
        }
    }

    #[test]
    fn people_look_like_a_population() {
        let mut rng = Rng::new(&[3]);
        let people: Vec<Person> = (0..20_000).map(|_| Person::draw(&mut rng)).collect();
        let share = |test: &dyn Fn(&Person) -> bool| {
            people.iter().filter(|person| test(person)).count() as f64 / people.len() as f64
        };
        assert!((0.46..0.54).contains(&share(&|p| p.sex == Sex::Female)));
        assert!((0.12..0.22).contains(&share(&|p| p.age(p.entry()) >= 65.0)));
        assert!((0.08..0.16).contains(&share(&|p| p.periods.len() == 2)));
        for person in &people {
            for period in &person.periods {
                assert!(period.start < period.end && period.end <= WINDOW_END);
            }
        }
    }
}
