#!/usr/bin/env python3
"""Ingest against DuckDB: the same CSV files to sorted, zstd-compressed Parquet, by turns.

    pip install duckdb
    cargo build --release
    python3 benches/ingest_compare.py --columna target/release/columna --patients 100000

Makes a synthetic hospital (`columna synth`), then alternates `columna ingest` and DuckDB writing one
Parquet file per table in the order of person and start date, in row groups of 120,000 rows. Every run is
a process of its own; the order of the two changes every round. Printed are medians, the ratio of the
medians, and the highest memory of any run.

What the two do is not quite the same: Columna also validates every value, looks for duplicate keys and for
events without a person, hashes what it writes and waits until it is on the disk. DuckDB does none of
that, and is given the column types; its time has the start of Python in it, about 0.1 s.
"""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import duckdb

ROWS_PER_GROUP = 120_000
COUNTS = ("year_of_birth", "month_of_birth", "day_of_birth", "quantity", "refills", "days_supply", "gap_days")


def main():
    arguments = parse_arguments()
    if arguments.duckdb_into:
        write_with_duckdb(arguments.source, arguments.duckdb_into, arguments.threads)
        return
    with tempfile.TemporaryDirectory(prefix="columna-ingest-", dir=arguments.dir) as scratch:
        scratch = pathlib.Path(scratch)
        source = arguments.source or make_source(arguments, scratch)
        compare(arguments, source, scratch)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--columna", type=pathlib.Path, help="the binary (build it with --release)")
    parser.add_argument("--patients", type=int, default=100_000, help="how many to make (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the synthetic hospital (default: %(default)s)")
    parser.add_argument("--source", type=pathlib.Path, help="a folder of flawless OMOP CSV files to read instead")
    parser.add_argument("--runs", type=int, default=5, help="rounds that count (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="for both (default: all cores)")
    parser.add_argument("--dir", type=pathlib.Path, help="where to write; needs about four times the CSV's size")
    parser.add_argument("--json", type=pathlib.Path, help="also write every single time to this file")
    # How this script calls itself, so that DuckDB's time and memory are those of a process too.
    parser.add_argument("--duckdb-into", type=pathlib.Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if not arguments.duckdb_into and not (arguments.columna and arguments.columna.is_file()):
        parser.error("--columna: give a built binary; `cargo build --release` makes target/release/columna")
    return arguments


def make_source(arguments, scratch):
    source = scratch / "source"
    print(f"making {arguments.patients} patients", file=sys.stderr)
    command = [arguments.columna, "--quiet", "synth", "--patients", str(arguments.patients)]
    command += ["--seed", str(arguments.seed), "--format", "omop-csv", "--out", source]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return source


def compare(arguments, source, scratch):
    tables = csv_files(source)
    bytes_read = sum(path.stat().st_size for path in tables.values())
    threads = str(arguments.threads)
    commands = {
        "columna": lambda out: [
            arguments.columna, "--quiet", "ingest", source, "--store", out, "--threads", threads, "--projection", "none",
        ],
        "duckdb": lambda out: [
            sys.executable, __file__, "--source", source, "--duckdb-into", out, "--threads", threads,
        ],
    }
    runs = {name: [] for name in commands}
    rows = {}
    # The first round warms the page cache and does not count.
    for number in range(arguments.runs + 1):
        order = list(commands) if number % 2 else list(reversed(commands))
        for name in order:
            out = scratch / name
            run = measure(commands[name](out))
            if number == 0:
                rows[name] = count_rows(out, tables)
            run["written"] = sum(path.stat().st_size for path in out.rglob("*.parquet"))
            shutil.rmtree(out)
            if number > 0:
                runs[name].append(run)
            print(f"round {number}: {name} {run['seconds']:.2f} s", file=sys.stderr)
    report(arguments, bytes_read, rows, runs)


def measure(command):
    """Runs a command and tells its time and its highest memory."""
    command = [str(part) for part in command]
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    # Unlike getrusage(RUSAGE_CHILDREN), which keeps the highest of all children so far.
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"exit code {process.returncode}: {' '.join(command)}")
    unit = 1 if sys.platform == "darwin" else 1024
    return {"seconds": seconds, "cpu": usage.ru_utime + usage.ru_stime, "memory": usage.ru_maxrss * unit}


def count_rows(out, tables):
    """The rows written of every table of the source, wherever its files are below `out`."""
    root = out / "tables" if (out / "tables").is_dir() else out
    counts = {}
    for table in tables:
        files = [str(path) for path in sorted((root / table).rglob("*.parquet"))]
        read = "SELECT count(*) FROM read_parquet(?)"
        counts[table] = duckdb.execute(read, [files]).fetchone()[0] if files else 0
    return counts


def report(arguments, bytes_read, rows, runs):
    for table, count in rows["duckdb"].items():
        if rows["columna"][table] != count:
            print(f"not the same work: {table} has {rows['columna'][table]} rows, DuckDB wrote {count}")
    total = sum(rows["duckdb"].values())
    median = {name: statistics.median(run["seconds"] for run in of) for name, of in runs.items()}
    print(f"{total:,} rows, {bytes_read / 1e6:,.0f} MB of CSV, {arguments.threads} threads, {arguments.runs} runs each,")
    print(f"DuckDB {duckdb.__version__}\n")
    print("| | median s | range s | rows/s | MB/s | CPU s | peak MB | written MB |")
    print("|---|---|---|---|---|---|---|---|")
    for name, of in runs.items():
        seconds = [run["seconds"] for run in of]
        cells = [
            name,
            f"{median[name]:.2f}",
            f"{min(seconds):.2f}–{max(seconds):.2f}",
            f"{total / median[name]:,.0f}",
            f"{bytes_read / median[name] / 1e6:.0f}",
            f"{statistics.median(run['cpu'] for run in of):.1f}",
            f"{max(run['memory'] for run in of) / 1e6:,.0f}",
            f"{of[0]['written'] / 1e6:,.0f}",
        ]
        print("| " + " | ".join(cells) + " |")
    print(f"\nDuckDB takes {median['duckdb'] / median['columna']:.2f} times as long as Columna (medians)")
    if arguments.json:
        arguments.json.write_text(json.dumps({"rows": total, "bytes": bytes_read, "runs": runs}, indent=2))


def csv_files(source):
    """The tables of a folder that have rows: name → file."""
    files = {path.stem.lower(): path for path in sorted(source.iterdir()) if path.suffix.lower() == ".csv"}
    if not files:
        sys.exit(f"no CSV files in {source}")
    return files


def write_with_duckdb(source, out, threads):
    """One Parquet file per table, sorted by person and start date."""
    connection = duckdb.connect()
    connection.execute(f"SET threads = {threads}")
    connection.execute(f"SET temp_directory = '{out.parent / 'duckdb-spill'}'")
    for table, path in csv_files(source).items():
        with path.open(encoding="utf-8-sig") as file:
            names = file.readline().strip().lower().split(",")
        columns = ", ".join(f"'{name}': '{data_type(table, name)}'" for name in names)
        folder = out / table
        folder.mkdir(parents=True)
        quotes = "quote = '\"', escape = '\"'"
        read = f"read_csv('{path}', header = true, {quotes}, columns = {{{columns}}})"
        connection.execute(
            f"COPY (SELECT * FROM {read} ORDER BY {order(names)}) "
            f"TO '{folder / 'part.parquet'}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROWS_PER_GROUP})"
        )


def order(names):
    if "person_id" not in names:
        return names[0]
    dates = [name for name in names if name.endswith("_date")]
    started = [name for name in dates if name.endswith("_start_date")] or dates
    return ", ".join(["person_id", *started[:1]])


def data_type(table, name):
    """The type of an OMOP column, from its name."""
    if name.endswith("_datetime"):
        return "TIMESTAMP"
    if name.endswith("_date"):
        return "DATE"
    if name in ("value_as_number", "range_low", "range_high", "dose_value") or name.endswith("itude"):
        return "DOUBLE"
    if name == "quantity" and table in ("drug_exposure", "specimen"):
        return "DOUBLE"
    if name.startswith(("total_", "paid_", "amount_", "numerator_", "denominator_")) and not name.endswith("_id"):
        return "DOUBLE"
    if name in COUNTS or name.endswith(("_count", "_levels_of_separation")) or name in ("box_size", "episode_number"):
        return "INTEGER"
    textual = ("domain_id", "vocabulary_id", "concept_class_id", "relationship_id", "source_id", "device_id", "production_id")
    if (name.endswith("_id") and not name.endswith(textual)) or name.endswith(("_id_1", "_id_2")):
        return "BIGINT"
    return "VARCHAR"


if __name__ == "__main__":
    main()
