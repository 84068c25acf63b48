"""The binary under test, driven as a person would drive it."""

import csv
import io
import json
import subprocess


class Failed(Exception):
    """A command that did not succeed, with what it said."""


class Columna:
    def __init__(self, binary):
        self.binary = binary.resolve()

    def ingest(self, source, store):
        """The report: tables with `name`, `read`, `stored` and `rejected`."""
        return json.loads(self._run("ingest", source, "--store", store, "--json"))

    def query(self, store, sql):
        """The names of the columns, and the rows as text; an empty cell is a missing value or an empty text."""
        output = self._run("sql", "--store", store, "-c", sql, "--format", "csv")
        rows = list(csv.reader(io.StringIO(output, newline="")))
        # A row of one missing value is an empty line.
        return (rows[0], [row or [""] for row in rows[1:]]) if rows else ([], [])

    def verify(self, store):
        self._run("store", "verify", "--store", store)

    def publish_delta(self, store):
        self._run("store", "publish", "--store", store, "--delta")

    def _run(self, *arguments):
        command = [str(argument) for argument in (self.binary, "--quiet", *arguments)]
        done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=600)
        if done.returncode != 0:
            raise Failed(f"exit code {done.returncode}: {' | '.join(done.stderr.splitlines())}")
        return done.stdout
