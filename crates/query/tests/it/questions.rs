//! Questions about persons' rows, referred to by their places: new ones come last.

/// Questions whose answers are whole numbers, or floating point numbers that are whole.
pub(crate) const QUESTIONS: [&str; 171] = [
    "SELECT id, row_number() OVER w, rank() OVER w, dense_rank() OVER w FROM a WINDOW w AS (PARTITION BY person_id ORDER BY day)
     ORDER BY id, 2",
    "SELECT id, lag(value) OVER w, lead(day) OVER w, lag(kind, 2, -1) OVER w, lead(value, 3, 0.0) OVER w FROM a
     WINDOW w AS (PARTITION BY person_id ORDER BY day, id)",
    "SELECT id, sum(kind) OVER w, min(value) OVER w, max(day) OVER w, count(value) OVER w, avg(value) OVER w FROM a
     WINDOW w AS (PARTITION BY person_id ORDER BY day)",
    "SELECT id, max(value) OVER w, sum(kind) OVER w, count(*) OVER w, first_value(value) OVER w FROM a
     WINDOW w AS (PARTITION BY person_id ORDER BY day, id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)",
    "SELECT id, sum(value) OVER w, last_value(kind) OVER w, count(value) OVER w FROM a
     WINDOW w AS (PARTITION BY person_id, kind ORDER BY day, id ROWS BETWEEN UNBOUNDED PRECEDING AND 2 FOLLOWING)",
    "SELECT id, sum(value) OVER w, max(day) OVER w, first_value(id) OVER w, last_value(id) OVER w FROM a
     WINDOW w AS (PARTITION BY person_id ORDER BY day, id ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)",
    "SELECT id, row_number() OVER (PARTITION BY person_id ORDER BY day DESC, id DESC),
     lag(day) OVER (PARTITION BY person_id ORDER BY day DESC, id DESC) FROM a",
    "SELECT id, row_number() OVER (PARTITION BY person_id, kind ORDER BY value DESC NULLS LAST, id) FROM a",
    "SELECT id, row_number() OVER (PARTITION BY person_id ORDER BY value NULLS FIRST, id DESC), sum(kind) OVER (PARTITION BY person_id) FROM a",
    "SELECT id, sum(value) FILTER (WHERE kind = 1) OVER (PARTITION BY person_id ORDER BY day, id),
     lag(value) IGNORE NULLS OVER (PARTITION BY person_id ORDER BY day, id) FROM a",
    "SELECT id, sum(value) OVER (PARTITION BY person_id ORDER BY day, id ROWS 2 PRECEDING) FROM a",
    "SELECT a.id, b.id FROM a JOIN b ON a.person_id = b.person_id AND a.kind = b.kind",
    "SELECT a.id, b.id FROM a LEFT JOIN b ON a.day = b.day AND a.person_id = b.person_id AND a.value < b.value",
    "SELECT a.id, b.id FROM a FULL JOIN b ON a.person_id = b.person_id AND a.value = b.value",
    "SELECT b.id FROM b WHERE NOT EXISTS (SELECT 1 FROM a WHERE a.person_id = b.person_id AND a.kind = b.kind)",
    "SELECT a.id FROM a WHERE EXISTS (SELECT 1 FROM b WHERE a.person_id = b.person_id AND a.kind = b.kind)",
    "SELECT a.kind, count(*), count(DISTINCT b.person_id) FROM a JOIN b ON a.person_id = b.person_id AND a.day = b.day GROUP BY a.kind",
    "WITH f AS (SELECT person_id, kind, min(day) AS day FROM a GROUP BY person_id, kind)
     SELECT f.person_id, f.kind, f.day, g.n FROM f JOIN (SELECT person_id, kind, count(*) AS n FROM b GROUP BY person_id, kind) g
     ON f.person_id = g.person_id AND f.kind = g.kind",
    "SELECT x.id, c.n FROM (SELECT a.id, a.kind, a.person_id FROM a JOIN b ON a.person_id = b.person_id AND a.kind = b.kind) x
     JOIN (SELECT kind, count(*) AS n FROM b GROUP BY kind) c ON x.kind = c.kind",
    "WITH reached AS (SELECT person_id, kind, day, id, max(day) OVER (PARTITION BY person_id, kind ORDER BY day, id
       ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS reach FROM a),
     numbered AS (SELECT *, sum(CASE WHEN reach IS NULL OR day - reach > 3 THEN 1 ELSE 0 END)
       OVER (PARTITION BY person_id, kind ORDER BY day, id ROWS UNBOUNDED PRECEDING) AS era FROM reached)
     SELECT person_id, kind, era, min(day), max(day), count(*) FROM numbered GROUP BY person_id, kind, era",
    // The engine takes this join to be sorted by all three keys, which it is not.
    "SELECT a.person_id, a.day, b.day, count(*) FROM a JOIN b ON a.person_id = b.person_id GROUP BY 1, 2, 3",
    "SELECT DISTINCT a.person_id, v.kind FROM a JOIN (SELECT kind, id FROM b ORDER BY kind, id LIMIT 50) v ON v.id = a.id",
    // One pass through two sorted sides, by person or by person and day.
    "SELECT a.id, b.id FROM a JOIN b ON a.person_id = b.person_id AND b.day <= a.day AND b.day > a.day - 3",
    "SELECT a.id, b.id, b.value FROM a LEFT JOIN b ON a.person_id = b.person_id AND a.kind < b.kind AND a.value = b.value",
    "SELECT a.id, b.id FROM a RIGHT JOIN b ON a.person_id = b.person_id AND a.day + 1 = b.day",
    "SELECT a.id, b.id, a.value FROM a FULL JOIN b ON a.person_id = b.person_id AND a.day BETWEEN b.day - 1 AND b.day + INTERVAL '1 day'",
    "SELECT a.id FROM a WHERE EXISTS (SELECT 1 FROM b WHERE a.person_id = b.person_id AND b.day > a.day + a.kind)",
    "SELECT a.id FROM a WHERE NOT EXISTS (SELECT 1 FROM b WHERE a.person_id = b.person_id AND b.day > a.day)",
    "SELECT id FROM a WHERE EXISTS (SELECT 1 FROM b WHERE a.person_id = b.person_id AND b.day < a.day) OR kind = 1",
    "SELECT count(*) FROM a JOIN b ON a.person_id = b.person_id",
    "SELECT a.id, b.id FROM a LEFT JOIN b ON a.person_id = b.person_id AND a.day = b.day",
    "SELECT a.id, b.id FROM a FULL JOIN b ON a.day = b.day AND a.person_id = b.person_id AND a.value < b.value",
    "SELECT x.id, y.id FROM (SELECT a.id, b.person_id, b.day FROM a LEFT JOIN b ON a.person_id = b.person_id AND a.day = b.day) x
     FULL JOIN b y ON x.person_id = y.person_id AND x.day = y.day",
    "SELECT x.id, y.id FROM (SELECT a.id, b.person_id FROM a LEFT JOIN b ON a.person_id = b.person_id AND b.kind = 2) x
     LEFT JOIN b y ON x.person_id = y.person_id",
    "WITH first AS (SELECT person_id, min(day) AS day FROM a WHERE kind = 1 GROUP BY person_id),
     later AS (SELECT f.person_id, count(*) AS n, max(b.value) AS most FROM first f JOIN b ON b.person_id = f.person_id
       AND b.day >= f.day AND b.day <= f.day + 5 GROUP BY f.person_id)
     SELECT f.person_id, f.day - 1, f.day + 1, l.n, l.most FROM first f LEFT JOIN later l ON l.person_id = f.person_id",
    "SELECT a.person_id, count(*), count(b.id), min(b.day) FROM a LEFT JOIN b ON a.person_id = b.person_id AND b.day < a.day
     GROUP BY a.person_id HAVING count(*) > 2",
    "SELECT a.id, row_number() OVER (PARTITION BY a.person_id ORDER BY a.day, a.id, b.day, b.id) FROM a LEFT JOIN b
     ON a.person_id = b.person_id AND a.kind = 0",
    // Different persons, by the last one seen.
    "SELECT kind, count(DISTINCT person_id), count(*) FROM a GROUP BY kind",
    "SELECT kind, count(DISTINCT person_id) FROM a GROUP BY kind",
    "SELECT count(DISTINCT person_id), max(value) FROM a",
    "SELECT count(DISTINCT person_id) FROM a WHERE kind = 1",
    "SELECT kind, day, count(DISTINCT person_id) FILTER (WHERE value > 0), sum(value) FROM a GROUP BY kind, day",
    "SELECT b.kind, count(DISTINCT a.person_id), count(DISTINCT b.person_id), count(DISTINCT b.day) FROM a
     LEFT JOIN b ON a.person_id = b.person_id AND b.day <= a.day GROUP BY b.kind",
    "SELECT kind, count(DISTINCT person_id), count(DISTINCT kind), avg(value) FROM a GROUP BY GROUPING SETS ((kind), ())",
    "SELECT day, count(DISTINCT person_id) AS n FROM (SELECT person_id, day FROM a UNION ALL SELECT person_id, day FROM b) u
     GROUP BY day HAVING count(DISTINCT person_id) > 1",
    // One plan for several uses.
    "WITH f AS (SELECT person_id, min(day) AS day, max(value) AS v FROM a GROUP BY person_id)
     SELECT (SELECT count(*) FROM f) AS p, (SELECT sum(v) FROM f) AS q, (SELECT count(v) FROM f WHERE day > DATE '1970-01-03') AS r, count(*)
     FROM f x JOIN f y ON x.day = y.day",
    "WITH r AS (SELECT id, person_id, row_number() OVER (PARTITION BY person_id ORDER BY day, id) AS n FROM a)
     SELECT x.id, y.id FROM r x LEFT JOIN r y ON x.person_id = y.person_id AND x.n + 1 = y.n",
    "WITH g AS (SELECT person_id, kind, count(*) AS n FROM a GROUP BY person_id, kind)
     SELECT * FROM g WHERE n > 1 UNION ALL SELECT * FROM g WHERE n > 1 UNION ALL SELECT person_id, 0, 0 FROM g",
    "WITH d AS (SELECT person_id, min(day) AS day FROM a WHERE kind = 1 GROUP BY person_id),
     t AS (SELECT d.person_id, min(b.day) AS day FROM d JOIN b ON b.person_id = d.person_id AND b.day >= d.day GROUP BY d.person_id),
     c AS (SELECT DISTINCT t.person_id FROM t JOIN a ON a.person_id = t.person_id AND a.day > t.day)
     SELECT (SELECT count(*) FROM d) AS p, (SELECT count(*) FROM t) AS q, (SELECT count(*) FROM c) AS r, count(*), count(t.person_id), count(c.person_id)
     FROM d LEFT JOIN t ON t.person_id = d.person_id LEFT JOIN c ON c.person_id = d.person_id",
    "WITH p AS (SELECT DISTINCT person_id, kind FROM a) SELECT x.kind, y.kind, count(*) FROM p x JOIN p y
     ON x.person_id = y.person_id AND x.kind < y.kind GROUP BY x.kind, y.kind",
    "WITH RECURSIVE t(n) AS (SELECT min(kind) FROM a UNION ALL SELECT n + 1 FROM t WHERE n < 5)
     SELECT x.n, count(*) FROM t x JOIN t y ON x.n >= y.n GROUP BY x.n",
    "WITH g AS (SELECT kind, count(*) AS n FROM b GROUP BY kind) SELECT a.id, x.n, y.n FROM a JOIN g x ON x.kind = a.kind
     JOIN g y ON y.kind = a.kind WHERE a.id > (SELECT min(n) FROM g)",
    // Sorted by person, and within each by the other key.
    "SELECT a.id, b.id, a.value FROM a LEFT JOIN b ON a.person_id = b.person_id AND a.kind = b.kind AND a.day < b.day",
    "SELECT a.id, row_number() OVER (PARTITION BY a.person_id ORDER BY a.day, a.id, b.id) FROM a JOIN b
     ON a.person_id = b.person_id AND a.kind = b.kind",
    "SELECT a.kind, count(*), sum(b.kind) FROM a FULL JOIN b ON a.kind = b.kind AND a.person_id = b.person_id GROUP BY a.kind",
    "SELECT kind, median(value), percentile_cont(0.25) WITHIN GROUP (ORDER BY value), count(value) FROM a GROUP BY kind",
    // What is looked up in is joined first.
    "SELECT a.id, v.x, w.y FROM a JOIN (VALUES (0, 1), (0, 2), (1, 2)) v(k, x) ON v.k = a.kind
     JOIN (VALUES (1, 7), (2, 8), (2, 9)) w(x, y) ON w.x = v.x AND w.y > v.x + 6",
    "SELECT a.id, v.x, w.y FROM (VALUES (1, 7), (2, 8), (2, 9)) w(x, y)
     JOIN ((VALUES (0, 1), (0, 2), (1, 2)) v(k, x) JOIN a ON v.k = a.kind AND a.day > DATE '1970-01-01' + v.x) ON w.x = v.x",
    "SELECT b.id, v.x, sum(w.y) FROM a JOIN (VALUES (0, 1), (1, 2)) v(k, x) ON v.k = a.kind JOIN b ON b.person_id = a.person_id
     JOIN (VALUES (1, 7), (2, 9)) w(x, y) ON w.x = v.x GROUP BY b.id, v.x",
    // Frames that begin behind their segment.
    "SELECT id, count(*) OVER w, sum(value) OVER w, min(value) OVER w, max(day) OVER w, avg(kind) OVER w, sum(kind) OVER w, first_value(day) OVER w
     FROM a WINDOW w AS (PARTITION BY person_id ORDER BY day RANGE BETWEEN INTERVAL '3 days' PRECEDING AND CURRENT ROW)",
    "SELECT id, count(value) OVER w, sum(value) OVER w, min(day) OVER w, avg(value) OVER w FROM a
     WINDOW w AS (PARTITION BY person_id, kind ORDER BY day RANGE BETWEEN INTERVAL '1 month' PRECEDING AND INTERVAL '1 day' PRECEDING)",
    "SELECT id, count(*) OVER w, max(value) OVER w, last_value(day) OVER w, first_value(day) OVER w FROM a
     WINDOW w AS (PARTITION BY person_id ORDER BY day RANGE BETWEEN INTERVAL '1 day' FOLLOWING AND INTERVAL '4 days' FOLLOWING)",
    "SELECT id, count(*) OVER w, sum(kind) OVER w, max(id) OVER w FROM a
     WINDOW w AS (PARTITION BY person_id ORDER BY value RANGE BETWEEN 2 PRECEDING AND 1 FOLLOWING)",
    "SELECT id, count(*) OVER w, sum(kind) OVER w, min(id) OVER w FROM a
     WINDOW w AS (PARTITION BY person_id ORDER BY value DESC NULLS LAST RANGE BETWEEN 1 PRECEDING AND UNBOUNDED FOLLOWING)",
    "SELECT id, count(*) OVER w, sum(kind) OVER w FROM a
     WINDOW w AS (PARTITION BY person_id ORDER BY kind DESC RANGE BETWEEN 9223372036854775807 PRECEDING AND 1 PRECEDING)",
    "SELECT id, count(value) OVER w, sum(value) OVER w, min(value) OVER w, max(value) OVER w, last_value(value) OVER w FROM a
     WINDOW w AS (PARTITION BY person_id ORDER BY day, id ROWS BETWEEN 3 PRECEDING AND 1 PRECEDING)",
    "SELECT id, count(*) OVER w, sum(value) OVER w, max(value) OVER w, first_value(value) OVER w FROM a
     WINDOW w AS (PARTITION BY person_id ORDER BY day, id ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING)",
    "SELECT id, last_value(value) IGNORE NULLS OVER w, first_value(value) IGNORE NULLS OVER w,
     lag(value, 2, -9.0) IGNORE NULLS OVER w, lead(value) IGNORE NULLS OVER w FROM a
     WINDOW w AS (PARTITION BY person_id ORDER BY day, id ROWS BETWEEN 4 PRECEDING AND 2 FOLLOWING)",
    "SELECT id, first_value(value) OVER (PARTITION BY person_id ORDER BY day DESC, id DESC), last_value(day) OVER (PARTITION BY person_id ORDER BY day DESC),
     lead(value) OVER (PARTITION BY person_id ORDER BY day DESC, id DESC) FROM a",
    // Aggregates of sorted rows.
    "SELECT person_id, array_agg(id ORDER BY day, id), array_agg(value ORDER BY id DESC), string_agg(kind::TEXT, '-' ORDER BY day DESC, id),
     array_agg(day ORDER BY day DESC NULLS LAST) FILTER (WHERE value > 0), first_value(id ORDER BY value NULLS LAST, id) FROM a GROUP BY person_id",
    "SELECT person_id, kind, first_value(value ORDER BY day, id), last_value(id ORDER BY value DESC NULLS FIRST, id), count(*),
     array_agg(DISTINCT day ORDER BY day DESC) FILTER (WHERE value > 0), string_agg(DISTINCT value::TEXT, ',' ORDER BY value::TEXT),
     array_agg(DISTINCT value ORDER BY value NULLS FIRST), first_value(value ORDER BY id) FILTER (WHERE day > DATE '1970-01-03'), array_agg(value::TEXT ORDER BY value::TEXT, id),
     last_value(value ORDER BY day, id) IGNORE NULLS FROM a GROUP BY person_id, kind",
    "SELECT kind, count(*) AS n FROM (SELECT DISTINCT ON (person_id) person_id, kind FROM a ORDER BY person_id, day, id) t GROUP BY 1 ORDER BY 1",
    // Semi joins by what is no person.
    "SELECT id FROM a WHERE day IN (SELECT day FROM b WHERE kind = 1)",
    "SELECT id FROM a WHERE value NOT IN (SELECT value FROM b WHERE value > 1)",
    "SELECT id FROM a WHERE NOT EXISTS (SELECT 1 FROM b WHERE b.day = a.day AND b.kind = a.kind) OR kind NOT IN (SELECT kind FROM b WHERE day > DATE '1970-01-04')",
    // Conditions of pairs of which one side's rows decide a part alone.
    "SELECT a.id, b.id FROM a LEFT JOIN b ON a.person_id = b.person_id AND b.day::TIMESTAMP >= a.day::TIMESTAMP - INTERVAL '36 hours'
     AND b.day::TIMESTAMP < a.day::TIMESTAMP + INTERVAL '36 hours' AND (a.value * 2 > b.value + 1 OR b.kind % 2 = 1)",
    "SELECT a.id FROM a WHERE NOT EXISTS (SELECT 1 FROM b WHERE a.person_id = b.person_id AND date_part('day', b.day) = date_part('day', a.day) + 1 AND abs(a.value) > 1)",
    "SELECT a.id, b.id FROM a LEFT JOIN b ON a.person_id = b.person_id AND a.day >= b.day AND a.day < b.day + b.kind + 2",
    "SELECT a.id FROM a WHERE EXISTS (SELECT 1 FROM b WHERE a.person_id = b.person_id AND a.day BETWEEN b.day - 1 AND b.day + b.kind AND b.kind < a.kind)",
    // By nothing but a range.
    "SELECT c.d, count(*), count(DISTINCT a.person_id), sum(a.kind) FROM (VALUES (3), (1), (2), (NULL), (1)) c(d)
     JOIN a ON c.d BETWEEN a.kind AND a.kind + 1 GROUP BY c.d",
    "SELECT c.d, a.id FROM (VALUES (-9), (2), (1), (NULL), (2)) c(d) LEFT JOIN a ON a.kind < c.d AND c.d <= a.kind + 2 AND a.value > c.d",
    "SELECT c.d, a.id, a.value FROM a LEFT JOIN (VALUES (-9), (2), (1), (NULL), (2)) c(d) ON c.d >= a.kind AND c.d < a.kind + 2 AND (a.value > 0 OR c.d = 2)",
    "SELECT c.day, count(a.id), max(a.id) FROM (SELECT DISTINCT day FROM b WHERE kind = 1) c LEFT JOIN a ON c.day > a.day AND c.day <= a.day + 2 GROUP BY c.day",
    "SELECT count(*) FROM (SELECT DISTINCT kind FROM b) c, a WHERE a.kind <= c.kind",
    // Tables put together person by person.
    "SELECT person_id, day FROM a UNION SELECT person_id, day FROM b UNION SELECT person_id, day + 1 FROM a WHERE kind = 1",
    "SELECT person_id, day - lag(day) OVER (PARTITION BY person_id ORDER BY day), count(*) OVER (PARTITION BY person_id ORDER BY day)
     FROM (SELECT person_id, day FROM a UNION ALL SELECT person_id, day FROM b WHERE kind > 0) t",
    "SELECT person_id, what, count(*), min(day), max(n) FROM (SELECT person_id, 'a' AS what, day, kind AS n FROM a UNION ALL
     SELECT person_id, 'b', day, NULL FROM b UNION ALL SELECT person_id, 'first', min(day), count(*) FROM a GROUP BY person_id) t GROUP BY 1, 2",
    "SELECT a.id, t.day, t.kind FROM a LEFT JOIN (SELECT person_id, day, kind FROM b UNION ALL SELECT person_id, day, kind FROM a WHERE value > 0) t
     ON t.person_id = a.person_id AND t.day > a.day",
    "SELECT person_id, sum(n) FROM (SELECT b.person_id, a.day, 1 AS n FROM a RIGHT JOIN b ON a.person_id = b.person_id AND a.day = b.day
     UNION ALL SELECT a.person_id, b.day, 10 FROM a FULL JOIN b ON a.person_id = b.person_id AND a.value = b.value) t GROUP BY person_id",
    // Windows over all of a partition.
    "SELECT id, value - avg(value) OVER (PARTITION BY kind), count(*) OVER (PARTITION BY kind), min(day) OVER (PARTITION BY kind) FROM a",
    "SELECT id, max(value) OVER (PARTITION BY day, value), sum(kind) OVER (), count(value) OVER (PARTITION BY value), count(*) OVER (PARTITION BY day) FROM a",
    "SELECT id, rank() OVER (PARTITION BY kind ORDER BY day), count(*) OVER (PARTITION BY kind), row_number() OVER (PARTITION BY person_id ORDER BY day, id) FROM a",
    "SELECT x.id, y.n FROM (SELECT id, person_id, day, max(day) OVER (PARTITION BY kind) AS last FROM a) x
     JOIN (SELECT person_id, day, count(DISTINCT value) OVER (PARTITION BY kind % 2) AS n FROM b) y ON x.person_id = y.person_id AND x.day = y.day AND x.last > y.day",
    "SELECT kind, n, 100.0 * n / sum(n) OVER () FROM (SELECT kind, count(*) AS n FROM a GROUP BY kind) g",
    // Sorts by numbers.
    "SELECT id, row_number() OVER (PARTITION BY kind ORDER BY value DESC NULLS LAST, day, id), rank() OVER (PARTITION BY kind ORDER BY value) FROM a",
    "SELECT id, row_number() OVER (PARTITION BY value ORDER BY day DESC NULLS FIRST, id DESC), lag(id) OVER (ORDER BY value NULLS FIRST, day DESC, id) FROM a",
    "SELECT id, row_number() OVER (ORDER BY value * 1e300 DESC, -value / 0, id, kind), sum(kind) OVER (PARTITION BY day ORDER BY id ROWS 3 PRECEDING) FROM a",
    // Within bounds, where one side is read by kind.
    "SELECT count(*), count(DISTINCT c.person_id), sum(b.id) FROM a c JOIN b ON b.person_id = c.person_id AND b.day BETWEEN c.day - 1 AND c.day + INTERVAL '1 month'
     WHERE c.kind IN (0, 2)",
    "SELECT c.id, b.id FROM (SELECT * FROM a WHERE kind = 1) c LEFT JOIN b ON b.person_id = c.person_id AND b.day BETWEEN c.day AND c.day + 2 AND b.kind <> 1",
    "SELECT b.id FROM b WHERE NOT EXISTS (SELECT 1 FROM a WHERE a.kind IN (1, 2) AND a.person_id = b.person_id AND b.day > a.day AND b.day <= a.day + INTERVAL '3 days')",
    "SELECT id, nth_value(value, 2) OVER w, ntile(3) OVER w, percent_rank() OVER w * 1000000, nth_value(id, 1) OVER w FROM a
     WINDOW w AS (PARTITION BY person_id ORDER BY day, id)",
    "SELECT id, cume_dist() OVER w, percent_rank() OVER w, count(*) FILTER (WHERE 2 < value) OVER w FROM a
     WINDOW w AS (PARTITION BY person_id ORDER BY day)",
    "SELECT id, nth_value(id, 3) OVER (PARTITION BY person_id ORDER BY day, id ROWS BETWEEN 1 PRECEDING AND 2 FOLLOWING),
     ntile(2) OVER (PARTITION BY person_id, kind ORDER BY day, id), ntile(7) OVER (PARTITION BY person_id ORDER BY day, id) FROM a",
    "SELECT x.id, row_number() OVER (PARTITION BY x.person_id ORDER BY x.day DESC, x.id DESC) FROM
     (SELECT id, person_id, day FROM a UNION ALL SELECT id + 1000000, person_id, day FROM b) x",
    // In an order, by whatever key.
    "SELECT kind, array_agg(id ORDER BY value DESC NULLS LAST, id), string_agg(value::TEXT, '+' ORDER BY day DESC, id) FILTER (WHERE value > 1),
     first_value(id ORDER BY value, id), last_value(day ORDER BY value NULLS FIRST, id), array_agg(DISTINCT day ORDER BY day DESC),
     first_value(value ORDER BY day, id) FILTER (WHERE id % 3 = 1), last_value(value ORDER BY id) IGNORE NULLS, any_value(kind) FROM a GROUP BY kind",
    "SELECT DISTINCT ON (kind, day) kind, day, id, value FROM a ORDER BY kind, day, value DESC NULLS LAST, id",
    "SELECT array_agg(id ORDER BY value, id), first_value(id ORDER BY value DESC, id DESC), string_agg(DISTINCT value::TEXT, ',' ORDER BY value::TEXT),
     last_value(kind::TEXT || 'x' ORDER BY kind::TEXT, id), array_agg(id ORDER BY id) FILTER (WHERE kind > 9), max(day) FROM a",
    "SELECT a.day, b.kind, array_agg(b.id ORDER BY b.value, a.id, b.id), first_value(a.id ORDER BY a.kind::TEXT DESC, b.day, a.id, b.id) FROM a JOIN b ON a.day = b.day
     GROUP BY a.day, b.kind",
    // By person and a key that may be NULL, by which nothing is sorted.
    "SELECT x.id, y.id FROM (SELECT id, person_id, nullif(kind, 1) AS k FROM a) x LEFT JOIN (SELECT id, person_id, nullif(kind, 2) AS k FROM b) y
     ON x.person_id = y.person_id AND x.k = y.k",
    "SELECT x.id, y.id FROM (SELECT id, person_id, nullif(kind, 1) AS k, day FROM a) x FULL JOIN (SELECT id, person_id, nullif(kind, 2) AS k, day FROM b) y
     ON x.person_id = y.person_id AND x.k = y.k AND x.day < y.day",
    "SELECT x.id FROM (SELECT id, person_id, nullif(kind, 1) AS k FROM a) x WHERE NOT EXISTS (SELECT 1 FROM b WHERE b.person_id = x.person_id AND b.kind = x.k)
     UNION ALL SELECT -x.id FROM (SELECT id, person_id, nullif(kind, 0) AS k FROM b) x WHERE EXISTS (SELECT 1 FROM a WHERE a.person_id = x.person_id AND a.kind = x.k)",
    // What is looked up in is asked to be among others.
    "SELECT a.id, v.x FROM a JOIN (VALUES (0, 1), (0, 2), (1, 2), (2, 5)) v(k, x) ON a.kind = v.k
     WHERE v.x IN (SELECT column1 FROM (VALUES (2), (5), (5)) w WHERE column1 < 9) AND a.day > DATE '1970-01-02'",
    "SELECT b.id, a.id, v.x FROM b JOIN a ON a.person_id = b.person_id JOIN (VALUES (0, 1), (0, 2), (1, 2), (2, 5)) v(k, x) ON a.kind = v.k
     WHERE NOT EXISTS (SELECT 1 FROM (VALUES (2, 0), (5, 7)) w(x, y) WHERE w.x = v.x AND w.y > v.k)",
    // Equal and within bounds at once.
    "SELECT x.id, b.id FROM a x JOIN b ON x.person_id = b.person_id AND x.kind = b.kind AND b.day BETWEEN x.day + 1 AND x.day + 3",
    "SELECT x.id, b.id FROM a x LEFT JOIN b ON x.person_id = b.person_id AND x.kind = b.kind AND b.day > x.day AND b.value < x.value",
    "SELECT x.id FROM (SELECT id, person_id, nullif(kind, 1) AS k, day FROM a) x WHERE NOT EXISTS (SELECT 1 FROM b WHERE b.person_id = x.person_id AND b.kind = x.k AND b.day < x.day AND b.day >= x.day - 4)",
    "SELECT x.id, b.id FROM a x JOIN b ON x.person_id = b.person_id AND b.day - x.day BETWEEN 1 AND 2",
    "SELECT x.id, b.id FROM a x LEFT JOIN b ON x.person_id = b.person_id AND abs(b.day - x.day) < 2 AND b.day - x.day <> 0",
    "SELECT id FROM a WHERE day - DATE '1970-01-03' > 4 AND day - day = 0",
    // By records.
    "SELECT count(DISTINCT (person_id, value)), count(*), count(DISTINCT (day, kind)) FROM a",
    "SELECT count(DISTINCT (kind, value)) FROM a",
    "SELECT kind, count(DISTINCT (person_id, value)), sum(id) FROM b GROUP BY kind",
    "SELECT DISTINCT (kind, value) AS r FROM a UNION ALL SELECT (kind, value) FROM (SELECT kind, value, count(*) FROM b GROUP BY kind, value) x",
    "SELECT r, k, count(*), max(id) FROM (SELECT named_struct('v', value, 'd', day) AS r, kind + 1 AS k, id FROM a) x GROUP BY r, k",
    // All events with few rows of their persons.
    "SELECT x.kind, count(*), sum(c.id), count(c.id) FROM (SELECT kind, person_id, day FROM a UNION ALL SELECT kind, person_id, day FROM b) x
     LEFT JOIN (SELECT person_id, id FROM a WHERE id % 40 = 1) c ON c.person_id = x.person_id GROUP BY x.kind",
    "SELECT x.day, x.t FROM (SELECT 1 AS t, person_id, day FROM a UNION ALL SELECT 2, person_id, day FROM b) x
     WHERE x.person_id NOT IN (SELECT person_id FROM b WHERE id % 50 = 2 AND kind = 1) AND x.t < 3",
    "SELECT id FROM a WHERE value NOT IN (SELECT value + 1 FROM b WHERE value > 2) AND kind < 2",
    // Few values that many rows are compared with.
    "SELECT y.y, count(DISTINCT a.person_id), count(*) FROM a JOIN (SELECT unnest([0, 1, 2, 3, 4, 5]) AS y) y ON a.kind <= y.y AND a.kind + 2 >= y.y
     GROUP BY y.y",
    "SELECT p.person_id, p.y, count(b.id) FROM (SELECT DISTINCT y.y, a.person_id FROM a LEFT JOIN (SELECT unnest([1, 2, 9]) AS y) y ON a.kind < y.y
     AND a.kind + 1 >= y.y) p JOIN b ON b.person_id = p.person_id GROUP BY p.person_id, p.y",
    "SELECT y.a, count(DISTINCT b.person_id), count(*) FROM (SELECT unnest([0, 1, 3, 5, NULL]) AS a, unnest([1, 3, 4, 9, 7]) AS z) y
     JOIN b ON b.kind + 1 >= y.a AND b.kind < y.z GROUP BY y.a",
    "SELECT y.a, count(DISTINCT b.person_id), count(*) FROM (SELECT unnest([0, 1, 3, 5, NULL]) AS a, unnest([4, 3, NULL, 9, 7]) AS z) y
     LEFT JOIN b ON b.kind + 1 >= y.a AND b.kind <= y.z GROUP BY y.a",
    "SELECT kind, date_part('year', day), count(DISTINCT person_id), count(*) FROM a GROUP BY ROLLUP (kind, date_part('year', day))",
    "SELECT kind, date_part('month', day), count(DISTINCT person_id) FROM a WHERE value > 1 GROUP BY CUBE (kind, date_part('month', day))",
    "SELECT a.id, b.id FROM a JOIN b ON a.kind = b.kind AND a.day < b.day AND a.value > b.value WHERE a.id % 5 = 0",
    "SELECT a.id, b.id FROM a LEFT JOIN b ON a.kind = b.kind AND b.day > a.day + 3 WHERE a.id % 7 = 0",
    "SELECT a.id FROM a WHERE NOT EXISTS (SELECT 1 FROM b WHERE b.kind = a.kind AND b.day > a.day + 3 AND b.value > 2)",
    "SELECT a.id, m.n FROM a JOIN (SELECT kind, count(*) AS n FROM b WHERE value > 2 GROUP BY kind) m ON m.kind = a.kind",
    // Groups of several sets, of which the person is NULL in some.
    "SELECT person_id, day, count(*), sum(kind) FROM a GROUP BY ROLLUP (person_id, day)",
    "SELECT x.person_id, b.kind, count(*) FROM a x JOIN b ON x.person_id = b.person_id GROUP BY CUBE (x.person_id, b.kind)",
    "SELECT person_id, kind, min(day) FROM a WHERE person_id = 3 GROUP BY ROLLUP (person_id, kind)",
    "SELECT person_id, k, n, row_number() OVER (PARTITION BY person_id ORDER BY n, k)
     FROM (SELECT person_id, kind AS k, count(*) AS n FROM a GROUP BY ROLLUP (person_id, kind)) t",
    "SELECT a.person_id, b.person_id, count(*) FROM a JOIN b ON a.person_id = b.person_id
     GROUP BY GROUPING SETS ((a.person_id), (b.person_id), (b.person_id, a.kind), ())",
    // Of each row's pairs one counts.
    "SELECT a.id, a.day, min(b.day) FROM a JOIN b ON a.person_id = b.person_id AND b.day >= a.day GROUP BY a.id, a.day",
    "SELECT a.id, max(b.id) FROM a JOIN b ON a.person_id = b.person_id AND a.kind = b.kind AND a.day > b.day GROUP BY a.id",
    "SELECT b.id, b.kind, min(a.kind) FROM a JOIN b ON a.person_id = b.person_id AND b.day < a.day GROUP BY 1, 2",
    "SELECT x.id, m.d FROM a x LEFT JOIN (SELECT z.id, max(y.day) AS d FROM a z JOIN b y ON y.person_id = z.person_id AND y.day < z.day
       GROUP BY z.id) m ON m.id = x.id",
    "SELECT z.id, min(y.id) FROM a z JOIN a y ON y.person_id = z.person_id AND y.kind = z.kind AND y.day > z.day + 1 GROUP BY z.id",
    "SELECT a.kind, max(b.day) FROM a JOIN b ON a.person_id = b.person_id AND b.day <= a.day WHERE a.value > 1 GROUP BY a.kind",
    "SELECT a.id, max(b.kind), min(b.kind) FROM a JOIN b ON a.person_id = b.person_id AND b.day <= a.day GROUP BY a.id",
    "SELECT a.id, b.kind, max(b.day) FROM a JOIN b ON a.person_id = b.person_id AND b.day <= a.day GROUP BY a.id, b.kind",
    "SELECT a.id, max(b.day) FROM a JOIN b ON a.person_id = b.person_id AND b.day <= a.day AND b.kind <> a.kind GROUP BY a.id",
    // Groups of a window's rows keep the order that the next window asks for.
    "WITH g AS (SELECT person_id AS p, kind AS k, day AS s, lag(day) OVER (PARTITION BY person_id, kind ORDER BY day) AS l FROM a),
     t AS (SELECT DISTINCT p, s, k, l FROM g)
     SELECT p, s, k, l, lag(s) OVER (PARTITION BY p, k ORDER BY s, l), row_number() OVER (PARTITION BY p, k ORDER BY s, l) FROM t",
    "WITH g AS (SELECT person_id AS p, kind AS k, day AS s, sum(kind) OVER (PARTITION BY person_id, kind ORDER BY day) AS n FROM a),
     e AS (SELECT p, n, k, min(s) AS b, max(s) AS e FROM g GROUP BY p, n, k)
     SELECT p, n, k, b, b - lag(e) OVER (PARTITION BY p, k ORDER BY b, n) FROM e",
    "SELECT a.id, max(b.day) FROM a JOIN b ON a.kind = b.kind AND b.id < a.id GROUP BY a.id",
    // Sorted when the semi join goes through both sides at once, and not before; and it is kept by a join with rows that are not.
    "SELECT x.id, x.day, x.p, count(*) FROM (SELECT DISTINCT id, day, person_id AS p FROM a WHERE EXISTS (SELECT 1 FROM b
     WHERE b.person_id = a.person_id AND b.kind = 1)) x
     JOIN (SELECT person_id AS p, day AS d, row_number() OVER (PARTITION BY person_id ORDER BY value, id) AS n FROM b) y
     ON y.d = x.day AND y.p = x.p AND y.n > 1 GROUP BY x.id, x.day, x.p",
    // Aggregates of all of a person's rows that no column goes by, beside others and alone.
    "SELECT id, median(value) OVER w, max(day) OVER w, regr_count(value, kind) OVER w, bool_or(kind = 1) OVER w FROM a
     WINDOW w AS (PARTITION BY person_id)",
    "SELECT id, median(kind) OVER (PARTITION BY person_id, kind), median(value) OVER (PARTITION BY person_id, kind) FROM b",
    "SELECT person_id, (array_agg(value ORDER BY day, id))[1], (array_agg(id ORDER BY day, id))[-1], regr_count(kind, value) FROM a
     GROUP BY person_id",
    // By groups of rows that are sorted equally.
    "SELECT id, count(*) OVER (PARTITION BY person_id ORDER BY day GROUPS BETWEEN 1 PRECEDING AND CURRENT ROW),
     max(value) OVER (PARTITION BY person_id ORDER BY day GROUPS BETWEEN 2 PRECEDING AND 1 PRECEDING),
     min(id) OVER (PARTITION BY person_id ORDER BY day GROUPS BETWEEN 1 FOLLOWING AND 3 FOLLOWING) FROM a",
    "SELECT id, sum(kind) OVER (PARTITION BY person_id ORDER BY kind DESC GROUPS BETWEEN UNBOUNDED PRECEDING AND 1 FOLLOWING),
     sum(kind) OVER (PARTITION BY person_id ORDER BY kind DESC GROUPS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) FROM b",
    "SELECT person_id, array_length(array_agg(DISTINCT kind)), array_length(array_agg(DISTINCT value)), array_agg(DISTINCT kind ORDER BY kind)
     FROM a GROUP BY person_id",
    // By the person and two more keys.
    "SELECT x.id, y.id FROM a x JOIN a y ON x.person_id = y.person_id AND x.kind = y.kind AND x.day = y.day AND y.id > x.id",
    "SELECT x.id, y.id FROM b x LEFT JOIN a y ON x.person_id = y.person_id AND x.day = y.day AND x.kind = y.kind AND y.value > 0",
    "SELECT id FROM a WHERE NOT EXISTS (SELECT 1 FROM b WHERE b.person_id = a.person_id AND b.kind = a.kind AND b.value = a.value AND b.id <> a.id)",
    "SELECT x.id, y.id FROM a x FULL JOIN b y ON x.person_id = y.person_id AND x.kind = y.kind AND x.day = y.day",
    // Unions of which each part has groups of its own, or not.
    "SELECT d, kind, count(DISTINCT person_id), count(*), count(DISTINCT day), count(DISTINCT id) FILTER (WHERE value > 1)
     FROM (SELECT 'a' AS d, person_id, kind, day, id, value FROM a UNION ALL SELECT 'b', person_id, kind, day, id, value FROM b) u GROUP BY d, kind",
    "SELECT d, count(DISTINCT person_id) FROM (SELECT 1 AS d, person_id FROM a UNION ALL SELECT 2, person_id FROM b UNION ALL SELECT 3, person_id FROM a WHERE kind = 1) u GROUP BY d",
    "SELECT d, count(DISTINCT person_id), count(DISTINCT kind), count(*)
     FROM (SELECT 'a' AS d, person_id, kind FROM a UNION ALL SELECT 'b', person_id, kind FROM b UNION ALL SELECT 'a', person_id, kind FROM b) u GROUP BY d",
    "SELECT id FROM a WHERE value <= ANY (SELECT value FROM b WHERE kind = 1)",
    "SELECT id FROM a WHERE value >= ALL (SELECT value FROM b WHERE b.person_id = a.person_id AND b.kind = a.kind)",
    "SELECT d, count(DISTINCT person_id) FROM (SELECT person_id, 'v' AS d FROM a UNION ALL SELECT person_id, NULL FROM b) u GROUP BY d",
];

/// By a number that each belongs to one person, and does not say whose.
pub(crate) const BY_VISIT: [&str; 30] = [
    "SELECT a.id, b.id FROM a JOIN b ON a.visit_id = b.visit_id",
    "SELECT a.id, b.id FROM a LEFT JOIN b ON a.visit_id = b.visit_id AND b.day > a.day",
    "SELECT a.id, b.id FROM a FULL JOIN b ON b.visit_id = a.visit_id AND a.kind = b.kind",
    "SELECT a.id FROM a WHERE visit_id IN (SELECT visit_id FROM b WHERE kind = 1)",
    "SELECT a.id FROM a WHERE NOT EXISTS (SELECT 1 FROM b WHERE b.visit_id = a.visit_id AND b.day < a.day)",
    "SELECT visit_id, count(*), min(day), count(DISTINCT kind) FROM a GROUP BY visit_id",
    "SELECT visit_id, count(*), max(value), array_agg(kind ORDER BY id) FROM b GROUP BY visit_id HAVING count(*) > 1",
    "SELECT id, row_number() OVER (PARTITION BY visit_id ORDER BY day, id), lag(day) OVER (PARTITION BY visit_id ORDER BY day, id) FROM a",
    "SELECT id, row_number() OVER (PARTITION BY visit_id ORDER BY day, id), sum(value) OVER (PARTITION BY visit_id ORDER BY day, id) FROM b",
    "SELECT id, row_number() OVER (PARTITION BY visit_id ORDER BY day DESC, id) FROM a WHERE visit_id IS NOT NULL AND kind < 2",
    "WITH n AS (SELECT visit_id AS v, count(*) AS n FROM a WHERE visit_id IS NOT NULL GROUP BY 1), f AS (SELECT visit_id AS w, min(day) AS d FROM b GROUP BY 1)
     SELECT n.v, n.n, f.d FROM n JOIN f ON n.v = f.w",
    "WITH n AS (SELECT visit_id, count(*) AS n FROM a GROUP BY 1) SELECT b.id, n.n FROM b LEFT JOIN n USING (visit_id)",
    "SELECT DISTINCT visit_id, kind FROM b UNION ALL SELECT DISTINCT visit_id, kind FROM a",
    "SELECT b.visit_id, b.kind, count(a.id), sum(a.value) FROM b LEFT JOIN a ON a.visit_id = b.visit_id GROUP BY b.visit_id, b.kind",
    "SELECT x.id, y.id, z.id FROM a x JOIN b y ON x.visit_id = y.visit_id JOIN a z ON z.visit_id = y.visit_id AND z.id > x.id",
    "SELECT x.visit_id, count(*) FROM (SELECT visit_id, id FROM a UNION ALL SELECT visit_id, id FROM b) x JOIN b ON b.visit_id = x.visit_id GROUP BY x.visit_id",
    // NULL among the rows that are asked, among those that are looked in, and nothing to look in.
    "SELECT id FROM a WHERE visit_id NOT IN (SELECT visit_id FROM b)",
    "SELECT id FROM b WHERE visit_id NOT IN (SELECT visit_id FROM a WHERE kind = 1)",
    "SELECT id FROM a WHERE visit_id NOT IN (SELECT visit_id FROM b WHERE kind = 7)",
    "SELECT id FROM a WHERE visit_id NOT IN (SELECT DISTINCT visit_id FROM b WHERE visit_id IS NOT NULL AND kind = 2)",
    // Groups of rows without a visit, which meet nothing.
    "SELECT b.id, f.n FROM b JOIN (SELECT visit_id AS v, count(*) AS n, min(day) AS d FROM a GROUP BY 1) f ON f.v = b.visit_id WHERE f.d < b.day",
    "SELECT x.visit_id, x.n, y.d FROM (SELECT visit_id, count(*) AS n FROM a GROUP BY 1) x
     LEFT JOIN (SELECT visit_id, kind, min(day) AS d FROM b GROUP BY 1, 2) y ON x.visit_id = y.visit_id AND x.n > y.kind",
    // The nearest where what is compared, what is joined by or the value may be NULL.
    "SELECT a.id, min(b.visit_id) FROM a JOIN b ON a.person_id = b.person_id AND b.visit_id >= a.visit_id GROUP BY a.id",
    "SELECT a.id, max(b.day) FROM a JOIN b ON a.visit_id = b.visit_id AND b.day <= a.day GROUP BY a.id",
    "SELECT a.id, min(b.id) FROM a JOIN b ON a.person_id = b.person_id AND b.visit_id = a.visit_id AND b.day > a.day GROUP BY a.id",
    "SELECT b.id, b.kind, min(a.visit_id) FROM a JOIN b ON a.person_id = b.person_id AND b.day < a.day GROUP BY 1, 2",
    // Numbers of one person each from two tables.
    "SELECT count(DISTINCT a.visit_id), count(DISTINCT b.order_id), count(*) FROM a JOIN b ON a.visit_id = b.visit_id",
    "SELECT a.kind, count(DISTINCT a.order_id), count(DISTINCT b.order_id), sum(b.value) FROM a JOIN b ON a.day = b.day GROUP BY 1",
    "SELECT v, i, dense_rank() OVER (PARTITION BY v ORDER BY i), rank() OVER (PARTITION BY i ORDER BY v)
     FROM (SELECT a.visit_id AS v, b.order_id AS i FROM a JOIN b ON a.visit_id = b.visit_id)",
    "SELECT a.id, f.n, g.n FROM a LEFT JOIN (SELECT visit_id AS v, count(*) AS n FROM a GROUP BY 1) f ON f.v = a.visit_id
     LEFT JOIN (SELECT visit_id AS v, count(*) AS n FROM b GROUP BY 1) g ON g.v = f.v",
];
