//! What functions and forms of other engines are here.

/// Functions that only have another name here.
pub(super) const NAMES: [(&str, &str); 14] = [
    ("approx_count_distinct", "approx_distinct"),
    ("arbitrary", "first_value"),
    ("first", "first_value"),
    ("group_concat", "string_agg"),
    ("grouping_id", "grouping"),
    ("ifnull", "coalesce"),
    ("last", "last_value"),
    ("list", "array_agg"),
    ("list_value", "make_array"),
    ("listagg", "string_agg"),
    ("nvl", "coalesce"),
    ("regexp_matches", "regexp_like"),
    ("strftime", "to_char"),
    ("variance", "var_samp"),
];

/// Functions whose numbers have no sign here, so that the difference of two could not be less than zero.
pub(super) const UNSIGNED: [&str; 9] = [
    "approx_distinct",
    "array_length",
    "array_position",
    "cardinality",
    "dense_rank",
    "list_length",
    "ntile",
    "rank",
    "row_number",
];

/// Whether one of the values is unknown says nothing of those that are there.
const HAS: &str =
    "CASE WHEN $1 IS NOT NULL AND $2 IS NOT NULL THEN coalesce(array_has($1, $2), FALSE) END";

/// By '' the engine does not split, and by NULL into letters; of no text it makes no part.
const SPLIT: &str = "CASE WHEN $1 = '' AND ($2 <> '' OR $2 IS NULL) THEN make_array('') \
     ELSE string_to_array($1, CASE WHEN $2 <> '' THEN $2 WHEN $2 IS NULL THEN '' END) END";

/// Functions of so many arguments, and what they stand for.
pub(super) const FORMS: [(&str, usize, &str); 82] = [
    ("if", 3, "CASE WHEN $1 THEN $2 ELSE $3 END"),
    ("iff", 3, "CASE WHEN $1 THEN $2 ELSE $3 END"),
    ("len", 1, "length($1)"),
    ("list_contains", 2, HAS),
    ("list_has", 2, HAS),
    ("array_contains", 2, HAS),
    ("array_has", 2, HAS),
    ("list_distinct", 1, "array_except($1, make_array(NULL))"),
    ("list_max", 1, "array_max($1)"),
    ("list_min", 1, "array_min($1)"),
    ("list_sort", 1, "array_sort($1, 'ASC', 'NULLS LAST')"),
    ("list_sort", 2, "array_sort($1, $2, 'NULLS LAST')"),
    (
        "list_reverse_sort",
        1,
        "array_sort($1, 'DESC', 'NULLS LAST')",
    ),
    (
        "array_reverse_sort",
        1,
        "array_sort($1, 'DESC', 'NULLS LAST')",
    ),
    ("list_first", 1, "array_element($1, 1)"),
    ("list_last", 1, "array_element($1, -1)"),
    ("struct_extract", 2, "get_field($1, $2)"),
    ("mod", 2, "$1 % $2"),
    ("monthname", 1, "to_char($1, '%B')"),
    ("dayname", 1, "to_char($1, '%A')"),
    ("year", 1, "date_part('year', $1)"),
    ("quarter", 1, "date_part('quarter', $1)"),
    ("month", 1, "date_part('month', $1)"),
    ("week", 1, "date_part('week', $1)"),
    ("weekofyear", 1, "date_part('week', $1)"),
    ("day", 1, "date_part('day', $1)"),
    ("dayofmonth", 1, "date_part('day', $1)"),
    ("dayofyear", 1, "date_part('doy', $1)"),
    // Sunday is 0.
    ("dayofweek", 1, "date_part('dow', $1)"),
    ("weekday", 1, "date_part('dow', $1)"),
    // Monday is 1.
    ("isodow", 1, "(date_part('dow', $1) + 6) % 7 + 1"),
    ("hour", 1, "date_part('hour', $1)"),
    ("minute", 1, "date_part('minute', $1)"),
    ("second", 1, "date_part('second', $1)"),
    ("millisecond", 1, "date_part('millisecond', $1)"),
    ("microsecond", 1, "date_part('microsecond', $1)"),
    ("epoch", 1, "date_part('epoch', $1)"),
    (
        "epoch_ms",
        1,
        "CAST(round(date_part('epoch', $1) * 1000) AS BIGINT)",
    ),
    ("epoch_us", 1, "CAST(CAST($1 AS TIMESTAMP(6)) AS BIGINT)"),
    ("epoch_ns", 1, "CAST(CAST($1 AS TIMESTAMP(9)) AS BIGINT)"),
    ("decade", 1, "date_part('year', $1) // 10"),
    ("century", 1, "(date_part('year', $1) + 99) // 100"),
    ("millennium", 1, "(date_part('year', $1) + 999) // 1000"),
    // That of the week's Thursday.
    (
        "isoyear",
        1,
        "date_part('year', date_trunc('week', $1) + INTERVAL '3 days')",
    ),
    (
        "yearweek",
        1,
        "date_part('year', date_trunc('week', $1) + INTERVAL '3 days') * 100 + date_part('week', $1)",
    ),
    (
        "last_day",
        1,
        "CAST(date_trunc('month', CAST($1 AS DATE)) + INTERVAL '1 month' - INTERVAL '1 day' AS DATE)",
    ),
    (
        "sign",
        1,
        "CASE WHEN isnan(CAST($1 AS DOUBLE)) THEN 0 WHEN $1 > 0 THEN 1 WHEN $1 < 0 THEN -1 WHEN $1 = 0 THEN 0 END",
    ),
    ("string_split", 2, SPLIT),
    ("str_split", 2, SPLIT),
    ("split", 2, SPLIT),
    ("count_if", 1, "count(*) FILTER (WHERE $1)"),
    ("countif", 1, "count(*) FILTER (WHERE $1)"),
    ("date_add", 2, "$1 + $2"),
    ("date_sub", 2, "$1 - $2"),
    ("to_centuries", 1, "$1 * INTERVAL '100 years'"),
    ("to_decades", 1, "$1 * INTERVAL '10 years'"),
    ("to_years", 1, "$1 * INTERVAL '1 year'"),
    ("to_quarters", 1, "$1 * INTERVAL '3 months'"),
    ("to_months", 1, "$1 * INTERVAL '1 month'"),
    ("to_weeks", 1, "$1 * INTERVAL '1 week'"),
    ("to_days", 1, "$1 * INTERVAL '1 day'"),
    ("to_hours", 1, "$1 * INTERVAL '1 hour'"),
    ("to_minutes", 1, "$1 * INTERVAL '1 minute'"),
    ("to_seconds", 1, "$1 * INTERVAL '1 second'"),
    ("to_milliseconds", 1, "$1 * INTERVAL '1 millisecond'"),
    ("to_microseconds", 1, "$1 * INTERVAL '1 microsecond'"),
    ("age", 1, "age(current_date, $1)"),
    (
        "make_timestamp",
        6,
        "CAST(make_date($1, $2, $3) AS TIMESTAMP(6)) + $4 * INTERVAL '1 hour' + $5 * INTERVAL '1 minute' + CAST(round($6 * 1000000) AS BIGINT) * INTERVAL '1 microsecond'",
    ),
    ("ceiling", 1, "ceil($1)"),
    ("prefix", 2, "starts_with($1, $2)"),
    ("suffix", 2, "ends_with($1, $2)"),
    ("strlen", 1, "octet_length($1)"),
    (
        "regexp_full_match",
        2,
        "regexp_like($1, '^(?:' || $2 || ')$')",
    ),
    ("geomean", 1, "exp(avg(ln($1)))"),
    ("geometric_mean", 1, "exp(avg(ln($1)))"),
    ("approx_quantile", 2, "quantile_disc($1, $2)"),
    ("fsum", 1, "sum(CAST($1 AS DOUBLE))"),
    ("kahan_sum", 1, "sum(CAST($1 AS DOUBLE))"),
    ("favg", 1, "avg(CAST($1 AS DOUBLE))"),
    ("count_star", 0, "count(*)"),
    ("isinf", 1, "abs($1) = CAST('inf' AS DOUBLE)"),
    ("isfinite", 1, "abs($1) < CAST('inf' AS DOUBLE)"),
];

/// Forms that ask several aggregates of the rows, each of which a FILTER is of.
pub(super) const OF_ROWS: [&str; 2] = ["geomean", "geometric_mean"];

/// `date_diff(part, from, to)`: how many boundaries of the part lie between.
pub(super) const DIFFERENCES: [(&str, &str); 14] = [
    ("day", "days_between(CAST($1 AS DATE), CAST($2 AS DATE))"),
    (
        "week",
        "days_between(CAST($1 AS DATE), CAST($2 AS DATE)) // 7",
    ),
    (
        "month",
        "(date_part('year', CAST($2 AS DATE)) - date_part('year', CAST($1 AS DATE))) * 12 \
         + date_part('month', CAST($2 AS DATE)) - date_part('month', CAST($1 AS DATE))",
    ),
    (
        "quarter",
        "(date_part('year', CAST($2 AS DATE)) - date_part('year', CAST($1 AS DATE))) * 4 \
         + date_part('quarter', CAST($2 AS DATE)) - date_part('quarter', CAST($1 AS DATE))",
    ),
    (
        "year",
        "date_part('year', CAST($2 AS DATE)) - date_part('year', CAST($1 AS DATE))",
    ),
    (
        "hour",
        "days_between(CAST($1 AS DATE), CAST($2 AS DATE)) * 24 \
         + date_part('hour', CAST($2 AS TIMESTAMP(6))) - date_part('hour', CAST($1 AS TIMESTAMP(6)))",
    ),
    (
        "minute",
        "(days_between(CAST($1 AS DATE), CAST($2 AS DATE)) * 24 \
         + date_part('hour', CAST($2 AS TIMESTAMP(6))) - date_part('hour', CAST($1 AS TIMESTAMP(6)))) * 60 \
         + date_part('minute', CAST($2 AS TIMESTAMP(6))) - date_part('minute', CAST($1 AS TIMESTAMP(6)))",
    ),
    (
        "second",
        "CAST(floor(date_part('epoch', CAST($2 AS TIMESTAMP(6)))) \
         - floor(date_part('epoch', CAST($1 AS TIMESTAMP(6)))) AS BIGINT)",
    ),
    (
        "millisecond",
        "(CAST(CAST($2 AS TIMESTAMP(6)) AS BIGINT) - (CAST(CAST($2 AS TIMESTAMP(6)) AS BIGINT) % 1000 + 1000) % 1000) // 1000 \
         - (CAST(CAST($1 AS TIMESTAMP(6)) AS BIGINT) - (CAST(CAST($1 AS TIMESTAMP(6)) AS BIGINT) % 1000 + 1000) % 1000) // 1000",
    ),
    (
        "microsecond",
        "CAST(CAST($2 AS TIMESTAMP(6)) AS BIGINT) - CAST(CAST($1 AS TIMESTAMP(6)) AS BIGINT)",
    ),
    (
        "decade",
        "date_part('year', CAST($2 AS DATE)) // 10 - date_part('year', CAST($1 AS DATE)) // 10",
    ),
    (
        "century",
        "date_part('year', CAST($2 AS DATE)) // 100 - date_part('year', CAST($1 AS DATE)) // 100",
    ),
    (
        "millennium",
        "date_part('year', CAST($2 AS DATE)) // 1000 - date_part('year', CAST($1 AS DATE)) // 1000",
    ),
    (
        "isoyear",
        "date_part('year', date_trunc('week', CAST($2 AS DATE)) + INTERVAL '3 days') \
         - date_part('year', date_trunc('week', CAST($1 AS DATE)) + INTERVAL '3 days')",
    ),
];

/// The row with the greatest or least key; rows without key or value don't count.
pub(super) const GREATEST: &str =
    "last_value($1 ORDER BY $2) FILTER (WHERE $1 IS NOT NULL AND $2 IS NOT NULL)";
pub(super) const LEAST: &str =
    "first_value($1 ORDER BY $2) FILTER (WHERE $1 IS NOT NULL AND $2 IS NOT NULL)";

/// So many of those with the greatest or least keys.
pub(super) const FIRST: &str = "array_slice(array_agg($1 ORDER BY $2) FILTER (WHERE $1 IS NOT NULL AND $2 IS NOT NULL), 1, $3)";
pub(super) const LAST: &str = "array_slice(array_agg($1 ORDER BY $2 DESC) FILTER (WHERE $1 IS NOT NULL AND $2 IS NOT NULL), 1, $3)";
