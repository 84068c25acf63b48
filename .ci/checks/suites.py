"""The suites: each real data set through Columna and through the other engines."""

import pathlib
import sys

from . import compare, layout
from .columna import Columna, Failed
from .source import Source, specification

QUERIES = pathlib.Path(__file__).resolve().parent.parent / "queries"
FEWEST_QUERIES = 15
# A query that has a statement of its own for the source files has it below this line.
FOR_SOURCE = "-- @source\n"


class Tally:
    """Counts and prints outcomes, one line each."""

    def __init__(self, only):
        self.only, self.passed, self.failed = only, 0, 0

    def check(self, name, wrong):
        """Records an outcome; `wrong` says what is wrong, and nothing when all is well."""
        if self.only and self.only not in name:
            return
        self.passed += not wrong
        self.failed += bool(wrong)
        print(f"{'FAIL' if wrong else 'ok  '} {name}{': ' + wrong if wrong else ''}", flush=True)


def run(arguments, scratch):
    """Runs every suite and returns how many checks failed."""
    tally = Tally(arguments.only)
    data = arguments.shared / "data"
    suites = [
        ("gibleed", data / "gibleed", specification(arguments.shared, "5.3"), "omop"),
        ("synthea27nj", data / "synthea27nj", specification(arguments.shared, "5.4"), "omop"),
        ("synthea_csv", data / "synthea_csv" / "synthea", None, "synthea"),
    ]
    answered = {}
    for name, folder, fields, queries in suites:
        source = Source(folder, fields)
        store = scratch / name
        columna = Columna(arguments.columna) if arguments.columna else None
        if columna:
            try:
                report = columna.ingest(folder, store)
            except (Failed, ValueError) as error:
                tally.check(f"{name}: ingest", str(error))
                continue
            if queries == "omop":
                check_counts(tally, name, source, report)
            check_store(tally, name, columna, store, report, arguments.delta)
        for path in sorted((QUERIES / queries).glob("*.sql")):
            rows = check_query(tally, f"{name}: {path.stem}", path, source, columna, store)
            answered.setdefault(path, []).append(rows)
    for path, rows in answered.items():
        if not any(rows):
            tally.check(f"{path.stem} has an answer", "no rows in any data set, so that it compares nothing")
    for folder in sorted(QUERIES.iterdir()):
        count = len(list(folder.glob("*.sql")))
        if count < FEWEST_QUERIES:
            tally.check(f"queries for {folder.name}", f"{count}, expected at least {FEWEST_QUERIES}")
    if not arguments.columna:
        print("no binary given: the queries ran on the source files alone, and nothing was compared", file=sys.stderr)
    print(f"{tally.passed} passed, {tally.failed} failed")
    return tally.failed


def check_counts(tally, suite, source, report):
    """Every row of every OMOP file is stored, or rejected because it cannot have the specified types."""
    reported = {table["name"].lower(): table for table in report["tables"]}
    for table, rows in source.rows.items():
        wrong = wrong_count(rows, source.untyped[table], reported.get(table))
        tally.check(f"{suite}: rows of {table} ({rows} in the file)", wrong)


def wrong_count(rows, untyped, entry):
    if entry is None:
        return "not in the report"
    if entry["read"] != rows:
        return f"{entry['read']} rows read"
    if entry["rejected"] > untyped:
        return f"{entry['rejected']} rejected, but only {untyped} rows cannot be typed"
    return None


def check_store(tally, suite, columna, store, report, delta):
    """The report adds up, the store verifies, and every engine finds the reported rows in it."""
    attempt(tally, f"{suite}: verify", lambda: columna.verify(store))
    if delta:
        attempt(tally, f"{suite}: publish as Delta tables", lambda: columna.publish_delta(store))
    for table in report["tables"]:
        # Some readers derive rows besides those of the source, such as observation periods.
        name, stored = table["name"].lower(), table["stored"] + table["derived"]
        attempt(tally, f"{suite}: {name} adds up", lambda: wrong_sum(columna, store, name, table))
        if not stored:
            continue
        attempt(tally, f"{suite}: files of {name}", lambda: wrong_files(store, name, stored))
        if delta:
            counts = lambda: disagreement(stored, layout.delta_counts(store, name))
            attempt(tally, f"{suite}: Delta table {name}", counts)


def wrong_sum(columna, store, name, entry):
    read, stored, rejected = entry["read"], entry["stored"], entry["rejected"]
    if stored + rejected != read:
        return f"{stored} stored and {rejected} rejected do not add up to {read} read"
    _, [[count]] = columna.query(store, f"SELECT count(*) FROM {name}")
    reported = stored + entry["derived"]
    return None if int(count) == reported else f"{count} rows in the store, {reported} reported"


def wrong_files(store, table, stored):
    return disagreement(stored, layout.counts_by_engine(store, table)) or next(layout.complaints(store, table), None)


def disagreement(stored, counts):
    return None if set(counts) == {stored} else f"other engines count {counts}, the report says {stored}"


def attempt(tally, name, step):
    """Any failure of a step is a failed check, whatever engine it comes from."""
    try:
        tally.check(name, step())
    except Exception as error:
        tally.check(name, f"{type(error).__name__}: {error}".splitlines()[0])


def check_query(tally, name, path, source, columna, store):
    """Compares one query's answers and returns how many rows the source gives."""
    ours, _, theirs = path.read_text(encoding="utf-8").partition(FOR_SOURCE)
    expected = source.query(theirs or ours)
    name = f"{name} ({len(expected[1])} rows)"
    if not columna:
        return len(expected[1])
    try:
        tally.check(name, compare.difference(expected, columna.query(store, ours)))
    except Failed as error:
        tally.check(name, str(error))
    return len(expected[1])
