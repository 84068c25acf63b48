"""Comparison of two results: every row in order, every value exactly, floating point to 1e-9."""

import datetime
import math

RELATIVE = 1e-9


def difference(expected, got):
    """What differs first, in words; `None` when nothing does.

    `expected` is (names, rows of Python values), `got` is (names, rows of text).
    """
    (names, rows), (got_names, got_rows) = expected, got
    if [name.lower() for name in names] != [name.lower() for name in got_names]:
        return f"columns {got_names}, expected {names}"
    for number, (row, got_row) in enumerate(zip(rows, got_rows), start=1):
        if len(row) != len(got_row):
            return f"row {number} has {len(got_row)} values, expected {len(row)}"
        for name, value, text in zip(names, row, got_row):
            if not same(value, text):
                return f"row {number}, {name}: {text!r}, expected {value!r}"
    if len(rows) != len(got_rows):
        return f"{len(got_rows)} rows, expected {len(rows)}"
    return None


def same(value, text):
    if value is None or text == "":
        return value in (None, "") and text == ""
    try:
        if isinstance(value, bool):
            return text == str(value).lower()
        if isinstance(value, int):
            return int(text) == value
        if isinstance(value, float):
            number = float(text)
            both_nan = math.isnan(number) and math.isnan(value)
            return both_nan or math.isclose(number, value, rel_tol=RELATIVE, abs_tol=1e-12)
        if isinstance(value, datetime.datetime):
            return datetime.datetime.fromisoformat(text.removesuffix("Z")) == value
        if isinstance(value, datetime.date):
            return datetime.date.fromisoformat(text) == value
    except ValueError:
        return False
    return text == str(value)
