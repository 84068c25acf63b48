//! `readmission(person, admission, discharge)`: how often a hospital stay is followed by another.

use std::sync::LazyLock;

use arrow::array::{Array, ArrayRef, AsArray, Date32Array, Int64Array};
use arrow::buffer::BooleanBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Date32Type, Int64Type};
use columna_stats::Summary;
use columna_stats::description::stays::{Readmission, Stay, Stays};
use datafusion::common::{DataFusionError, Result, exec_datafusion_err, plan_err};
use datafusion::logical_expr::Documentation;

use super::adapter::output::{Table, struct_of};
use super::adapter::{
    Batch, BatchRows, Counted, Options, Parameter, Role, RowSummary, State, StateBuilder,
    Statistic, flags, refuse, refused,
};
use super::conf_level;
use crate::functions::docs::DESCRIPTION;

static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| {
    Documentation::builder(
        DESCRIPTION,
        "Unplanned readmission within 30 days, by the definition of the US Centers for Medicare & Medicaid Services' \
         hospital-wide measure without its case-mix model: a struct of `persons`, `episodes`, `index_episodes`, \
         `readmitted`, `rate` with Wilson's `lower` and `upper`, `planned`, and the episodes that are no index episodes, \
         `ongoing`, `died`, `excluded`, `short_follow_up`. Stays of a person that overlap, or of which one begins on the \
         day the other ends, are one episode; so is a stay in another facility that begins on the day after. An index \
         episode ends alive, is not excluded, and is followed by the whole window of observation. It counts as \
         readmitted if the next episode begins within the window and was not planned. A stay with a NULL discharge is \
         still going on.",
        "readmission(person, admission, discharge[, planned => p][, died => d][, excluded => x][, facility => f][, observed_until => t][, window => 30][, conf_level => 0.95])",
    )
    .with_argument("person", "The person, a whole number such as `person_id`")
    .with_argument("admission", "The first day of the stay")
    .with_argument("discharge", "The last day; NULL for a stay that is going on")
    .with_argument("planned", "Whether the admission was planned; none was, by default")
    .with_argument("died", "Whether the person died in the stay")
    .with_argument("excluded", "Whether the stay is to be no index episode for another reason, such as leaving against advice")
    .with_argument("facility", "The facility, a whole number, where transfers are to be recognised")
    .with_argument("observed_until", "The last day on which a readmission would be seen, such as the end of the observation period")
    .with_argument("window", "Days within which a readmission counts, 30 by default")
    .with_argument("conf_level", "The level of the interval, 0.95 by default")
    .with_sql_example(
        "> SELECT r['index_episodes'] AS episodes, r['readmitted'] AS readmitted, r['rate'] AS rate FROM (
    SELECT readmission(person, a, d) AS r
    FROM (VALUES (1, DATE '2024-01-01', DATE '2024-01-05'), (1, DATE '2024-01-20', DATE '2024-01-22'),
                 (2, DATE '2024-03-01', DATE '2024-03-02'), (2, DATE '2024-03-02', DATE '2024-03-09')) AS s(person, a, d));
+----------+------------+--------------------+
| episodes | readmitted | rate               |
+----------+------------+--------------------+
| 3        | 1          | 0.3333333333333333 |
+----------+------------+--------------------+",
    )
    .build()
});

/// The stays of a batch.
pub(crate) struct StayRows {
    person: Int64Array,
    admission: Date32Array,
    discharge: Date32Array,
    flags: [Option<BooleanBuffer>; 3],
    facility: Option<Int64Array>,
    observed_until: Option<Date32Array>,
    counted: Counted,
}

impl BatchRows for StayRows {
    fn read(batch: &Batch<'_>) -> Result<Self> {
        let missing = || exec_datafusion_err!("an argument is missing");
        let day = |name: &str| -> Result<Option<Date32Array>> {
            let Some(array) = batch.named(name) else {
                return Ok(None);
            };
            let days = cast(array, &DataType::Date32)?;
            Ok(Some(days.as_primitive::<Date32Type>().clone()))
        };
        let id = |name: &str| -> Result<Option<Int64Array>> {
            let Some(array) = batch.named(name) else {
                return Ok(None);
            };
            if array.data_type() != &DataType::Int64 {
                return refuse!("`{name}` of a stay must be a whole number, such as `person_id`");
            }
            Ok(Some(array.as_primitive::<Int64Type>().clone()))
        };
        let person = id("person")?.ok_or_else(missing)?;
        let admission = day("admission")?.ok_or_else(missing)?;
        let discharge = day("discharge")?.ok_or_else(missing)?;
        // A discharge, a facility or an end of observation may be unknown; a stay of nobody or without a day may not.
        let counted = batch.counted([person.nulls(), admission.nulls()]);
        let flag = |name: &str| -> Result<Option<BooleanBuffer>> {
            let Some(array) = batch.named(name) else {
                return Ok(None);
            };
            if counted.iter().any(|row| array.is_null(row)) {
                return refuse!(
                    "`{name}` of a stay is NULL in some row: write `coalesce({name}, false)` if that means no"
                );
            }
            flags(array, &counted, name).map(Some)
        };
        Ok(Self {
            flags: [flag("planned")?, flag("died")?, flag("excluded")?],
            facility: id("facility")?,
            observed_until: day("observed_until")?,
            person,
            admission,
            discharge,
            counted,
        })
    }

    fn counted(&self) -> &Counted {
        &self.counted
    }
}

/// Stays as a summary of rows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Kept(Stays);

impl Kept {
    /// The stays.
    pub(super) fn stays(&self) -> &Stays {
        &self.0
    }
}

impl Summary for Kept {
    fn merge(&mut self, other: Self) {
        self.0.merge(other.0);
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What stands for no day and no facility in a partial state.
const NONE: u64 = u64::MAX;

impl RowSummary for Kept {
    type Rows = StayRows;

    fn add_row(&mut self, rows: &StayRows, row: usize) -> Result<()> {
        let flag = |at: usize| {
            rows.flags[at]
                .as_ref()
                .is_some_and(|flags| flags.value(row))
        };
        let day = |days: &Date32Array| days.is_valid(row).then(|| days.value(row));
        let facility = rows.facility.as_ref();
        let stay = Stay {
            person: rows.person.value(row),
            admission: rows.admission.value(row),
            discharge: day(&rows.discharge),
            planned: flag(0),
            died: flag(1),
            excluded: flag(2),
            facility: facility.and_then(|ids| ids.is_valid(row).then(|| ids.value(row))),
            observed_until: rows.observed_until.as_ref().and_then(day),
        };
        self.0.add(stay).map_err(|error| refused(&error))
    }

    fn write(&self, state: &mut StateBuilder) {
        let day = |day: Option<i32>| day.map_or(NONE, |day| u64::from(day.cast_unsigned()));
        let ints: Vec<u64> = self
            .0
            .stays()
            .iter()
            .flat_map(|stay| {
                let flags = [
                    stay.planned,
                    stay.died,
                    stay.excluded,
                    stay.facility.is_some(),
                ];
                let bits = flags
                    .iter()
                    .enumerate()
                    .map(|(at, flag)| u64::from(*flag) << at);
                [
                    stay.person.cast_unsigned(),
                    day(Some(stay.admission)),
                    day(stay.discharge),
                    bits.sum(),
                    stay.facility.unwrap_or_default().cast_unsigned(),
                    day(stay.observed_until),
                ]
            })
            .collect();
        state.append(&ints, &[], &[]);
    }

    fn read(&mut self, state: &State<'_>) -> Result<()> {
        let (stays, rest) = state.ints.as_chunks::<6>();
        if !rest.is_empty() {
            return Err(DataFusionError::Internal(
                "the partial state of stays is cut short".to_owned(),
            ));
        }
        let day = |bits: u64| u32::try_from(bits).ok().map(u32::cast_signed);
        for [person, admission, discharge, flags, facility, observed] in stays {
            let is = |at: u32| flags >> at & 1 == 1;
            let stay = Stay {
                person: person.cast_signed(),
                admission: day(*admission).unwrap_or_default(),
                discharge: day(*discharge),
                planned: is(0),
                died: is(1),
                excluded: is(2),
                facility: is(3).then(|| facility.cast_signed()),
                observed_until: day(*observed),
            };
            self.0.add(stay).map_err(|error| refused(&error))?;
        }
        Ok(())
    }

    fn heap_bytes(&self) -> usize {
        self.0.heap_bytes()
    }
}

#[derive(Debug)]
pub(crate) struct WindowOptions {
    window: u32,
    conf_level: f64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) struct ReadmissionRate;

impl Statistic for ReadmissionRate {
    type Summary = Kept;
    type Options = WindowOptions;

    const NAME: &'static str = "readmission";
    const PARAMETERS: &'static [Parameter] = &[
        Parameter::required("person", Role::Id),
        Parameter::required("admission", Role::Day),
        Parameter::required("discharge", Role::Day),
        Parameter::optional("planned", Role::Flag),
        Parameter::optional("died", Role::Flag),
        Parameter::optional("excluded", Role::Flag),
        Parameter::optional("facility", Role::Id),
        Parameter::optional("observed_until", Role::Day),
        Parameter::optional("window", Role::Number),
        Parameter::optional("conf_level", Role::Number),
    ];

    fn documentation() -> &'static Documentation {
        &DOCUMENTATION
    }

    fn output(_arguments: &[DataType]) -> DataType {
        let (whole, number) = (DataType::Int64, DataType::Float64);
        struct_of(&[
            ("persons", whole.clone()),
            ("episodes", whole.clone()),
            ("index_episodes", whole.clone()),
            ("readmitted", whole.clone()),
            ("rate", number.clone()),
            ("lower", number.clone()),
            ("upper", number),
            ("planned", whole.clone()),
            ("ongoing", whole.clone()),
            ("died", whole.clone()),
            ("excluded", whole.clone()),
            ("short_follow_up", whole),
        ])
    }

    fn options(given: &Options) -> Result<WindowOptions> {
        let window = given.number("window")?.unwrap_or(30.0);
        if !(window >= 0.0 && window.fract() == 0.0 && window <= 36_525.0) {
            return plan_err!("`window` is {window}; it is a whole number of days");
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "checked above"
        )]
        Ok(WindowOptions {
            window: window as u32,
            conf_level: conf_level(given)?,
        })
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "counts of episodes stay below 2^53"
    )]
    fn evaluate(
        summaries: &[Option<&Kept>],
        options: &WindowOptions,
        output: &DataType,
    ) -> Result<ArrayRef> {
        let mut table = Table::new();
        for summary in summaries {
            let Some(kept) = summary else {
                table.push_null();
                continue;
            };
            let found = Readmission::of(&kept.0.episodes(options.window));
            let rate = found
                .rate(options.conf_level)
                .map_err(|error| refused(&error))?;
            let [ongoing, died, excluded, short] = found.excluded.map(|count| count as f64);
            table.push([
                found.persons as f64,
                found.episodes as f64,
                found.index.trials as f64,
                found.index.events as f64,
                rate.value,
                rate.lower,
                rate.upper,
                found.planned as f64,
                ongoing,
                died,
                excluded,
                short,
            ]);
        }
        table.into_structs(output, summaries.iter().map(Option::is_some).collect())
    }
}
