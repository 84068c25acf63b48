"""The files as another engine reads them: DuckDB, with the types of OHDSI's own field list."""

import csv

import duckdb

TYPES = {"integer": "BIGINT", "float": "DOUBLE", "date": "DATE", "datetime": "TIMESTAMP"}

# Columna's functions of clinical time and vocabulary, said in DuckDB's SQL.
FUNCTIONS = """
CREATE MACRO age_at(birth, date) AS CASE WHEN date >= birth THEN date_diff('year', birth, date)
    - CASE WHEN strftime(date, '%m%d') < strftime(birth, '%m%d') THEN 1 ELSE 0 END END;
CREATE MACRO age_band(age) AS CASE WHEN age >= 90 THEN '90+'
    ELSE concat(age - age % 10, '-', age - age % 10 + 9) END;
CREATE MACRO days_between(first, last) AS date_diff('day', first, last);
CREATE MACRO person_time(first, last) AS greatest(date_diff('day', first, last) + 1, 0);
"""
HIERARCHY = """
CREATE MACRO is_descendant(concept, ancestor) AS concept IN (
    SELECT descendant_concept_id FROM concept_ancestor WHERE ancestor_concept_id = ancestor)
"""


class Source:
    """A folder of CSV files as DuckDB tables.

    `rows` has the number of rows of every file; `untyped` the number of those that cannot be stored with
    the types of the specification, which are left out of the tables.
    """

    def __init__(self, folder, specification=None):
        self.connection = duckdb.connect()
        self.connection.execute("SET TimeZone = 'UTC'")
        self.connection.execute(FUNCTIONS)
        self.rows, self.untyped = {}, {}
        for path in sorted(folder.glob("*.csv")) + sorted(folder.glob("*.CSV")):
            self._load(path, (specification or {}).get(path.stem.lower()))
        if "concept_ancestor" in self.rows:
            self.connection.execute(HIERARCHY)

    def _load(self, path, fields):
        table = path.stem.lower()
        read = f"read_csv('{path}', header = true, all_varchar = true, quote = '\"', escape = '\"')"
        columns = [row[0] for row in self.connection.execute(f"DESCRIBE SELECT * FROM {read}").fetchall()]
        cast, good = [], ["true"]
        for column in columns:
            name = f'"{column}"'
            wanted, required = (fields or {}).get(column.lower(), ("varchar", False))
            if wanted in TYPES:
                typed = f"try_cast({name} AS {TYPES[wanted]})"
                cast.append(f'{typed} AS "{column.lower()}"')
                good.append(f"({name} IS NULL OR {typed} IS NOT NULL)")
            else:
                cast.append(f'{name} AS "{column.lower()}"')
            if required:
                good.append(f"{name} IS NOT NULL")
        kept = f"SELECT {', '.join(cast)} FROM {read} WHERE {' AND '.join(good)}"
        self.connection.execute(f'CREATE TABLE "{table}" AS {kept}')
        self.rows[table] = self._count(read)
        self.untyped[table] = self.rows[table] - self._count(f'"{table}"')

    def _count(self, relation):
        return self.connection.execute(f"SELECT count(*) FROM {relation}").fetchone()[0]

    def query(self, sql):
        """The names of the columns, and the rows as Python values."""
        result = self.connection.execute(sql)
        return [column[0] for column in result.description], result.fetchall()


def specification(shared, version):
    """Table → column → (type, required) as OHDSI lists them."""
    tables = {}
    # The 5.3 list leaves out the cohort table, which is the same in both.
    for listed, only in ((version, None), ("5.4", "cohort")):
        path = shared / "data" / "omop" / f"OMOP_CDMv{listed}_Field_Level.csv"
        with path.open(encoding="utf-8-sig", newline="") as file:
            for row in csv.DictReader(file):
                if only in (None, row["cdmTableName"]):
                    column = row["cdmFieldName"].strip('"').lower()
                    kind = (row["cdmDatatype"].lower(), row["isRequired"] == "Yes")
                    tables.setdefault(row["cdmTableName"].lower(), {})[column] = kind
    return tables
