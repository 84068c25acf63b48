#!/usr/bin/env python3
"""The EMR questions of `benches/queries/` through Columna and DuckDB, by turns; answers are compared.

    pip install duckdb
    cargo build --release
    target/release/columna synth --patients 500000 --format omop-parquet --out hospital
    target/release/columna ingest hospital --store store
    python3 benches/compare.py --columna target/release/columna --store store

DuckDB reads the very Parquet files of the store (`--native`: a DuckDB file made from them) in one process that stays
warm. Every run of Columna is a process of its own, with its start in its time. On a busy machine, look at the CPU
seconds, which include all threads. A question whose answers differ is named, and the exit code is 1.
"""

import argparse
import csv
import io
import json
import math
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

import duckdb

HERE = pathlib.Path(__file__).parent


def main():
    arguments = parse_arguments()
    peer = open_peer(arguments)
    others = [(name, pathlib.Path(path)) for name, path in (pair.split("=", 1) for pair in arguments.vs)]
    engines = [("columna", arguments.columna), *others]
    results, differing = [], []
    for file in sorted(arguments.queries.glob("*.sql")):
        if arguments.only and not any(file.stem.startswith(name) for name in arguments.only):
            continue
        sql = file.read_text()
        times = {name: [] for name, _ in [*engines, ("duckdb", None)]}
        answers = {}
        for _ in range(arguments.runs):
            for name, binary in engines:
                wall, cpu, answers[name] = run_columna(binary, arguments, file)
                times[name].append((wall, cpu))
            wall, cpu, answers["duckdb"] = run_duckdb(peer, sql)
            times["duckdb"].append((wall, cpu))
        same = all(agree(answers[name], answers["duckdb"]) for name, _ in engines)
        if not same:
            differing.append(file.stem)
        row = {"question": file.stem, "rows": len(answers["duckdb"]), "same": same}
        for name, runs in times.items():
            row[name] = {"wall": statistics.median(w for w, _ in runs), "cpu": statistics.median(c for _, c in runs)}
        results.append(row)
        print(line(row, engines), flush=True)
    summary(results, engines)
    if arguments.json:
        arguments.json.write_text(json.dumps({"duckdb": duckdb.__version__, "results": results}, indent=1))
    if differing:
        sys.exit(f"answers differ: {', '.join(differing)}")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--columna", type=pathlib.Path, required=True, help="the binary, built with --release")
    parser.add_argument("--vs", action="append", default=[], metavar="NAME=BINARY", help="another build to run by turns")
    parser.add_argument("--store", type=pathlib.Path, required=True, help="a local store")
    parser.add_argument("--queries", type=pathlib.Path, default=HERE / "queries", help="a folder of .sql files")
    parser.add_argument("--only", nargs="*", help="questions by the beginning of their names")
    parser.add_argument("--runs", type=int, default=3, help="of each engine (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="for all engines (default: %(default)s)")
    parser.add_argument("--memory-limit", help="for Columna, such as 1GB")
    parser.add_argument("--native", action="store_true", help="give DuckDB a file of its own format")
    parser.add_argument("--json", type=pathlib.Path, help="also write the figures to this file")
    return parser.parse_args()


def open_peer(arguments):
    path = tempfile.mkdtemp(prefix="columna-duckdb-") + "/peer.duckdb" if arguments.native else ":memory:"
    peer = duckdb.connect(path)
    peer.execute(f"SET threads = {arguments.threads}")
    for folder in sorted((arguments.store / "tables").iterdir()):
        if any(folder.rglob("*.parquet")):
            kind = "TABLE" if arguments.native else "VIEW"
            files = f"read_parquet('{folder}/**/*.parquet', hive_partitioning = false)"
            peer.execute(f'CREATE {kind} "{folder.name}" AS SELECT * FROM {files}')
    return peer


def run_columna(binary, arguments, file):
    command = [binary, "sql", "--store", arguments.store, "--threads", str(arguments.threads), "--format", "csv", "-q", "-f", file]
    if arguments.memory_limit:
        command += ["--memory-limit", arguments.memory_limit]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True)
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"{file.stem}: {done.stderr}")
    rows = list(csv.reader(io.StringIO(done.stdout)))[1:]
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, rows


def run_duckdb(peer, sql):
    start, cpu = time.perf_counter(), time.process_time()
    rows = peer.execute(sql).fetchall()
    return time.perf_counter() - start, time.process_time() - cpu, rows


def agree(ours, theirs):
    return len(ours) == len(theirs) and all(
        same(a, b) for x, y in zip(ordered(ours), ordered(theirs)) for a, b in zip(x, y, strict=True)
    )


def ordered(rows):
    return sorted(([value(v) for v in row] for row in rows), key=lambda row: [str(rounded(v)) for v in row])


def rounded(v):
    return float(f"{v:.6g}") if isinstance(v, float) else v


def value(v):
    """Numbers as numbers, and times as their text; nothing is NULL."""
    if v is None or v == "":
        return None
    text = str(v)
    try:
        return float(text)
    except ValueError:
        return text.replace("T", " ").removesuffix(".000000").removesuffix(" 00:00:00")


def same(a, b):
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-9) or (math.isnan(a) and math.isnan(b))
    return a == b


def line(row, engines):
    duck = row["duckdb"]
    parts = [f"{row['question']:28} {row['rows']:7} rows  duckdb {duck['wall']:7.2f} s {duck['cpu']:7.2f} cpu"]
    for name, _ in engines:
        mine = row[name]
        parts.append(
            f"{name} {mine['wall']:7.2f} s {mine['cpu']:7.2f} cpu"
            f" = {mine['wall'] / duck['wall']:5.2f} {mine['cpu'] / duck['cpu']:5.2f}"
        )
    return "  ".join(parts) + ("" if row["same"] else "  ANSWERS DIFFER")


def summary(results, engines):
    for name, _ in engines:
        for what in ("wall", "cpu"):
            ratios = [max(row[name][what], 1e-3) / max(row["duckdb"][what], 1e-3) for row in results]
            mean = statistics.geometric_mean(ratios)
            print(f"{name}: {what}, geometric mean of {len(ratios)} against DuckDB {duckdb.__version__}: {mean:.2f}, worst {max(ratios):.2f}")


if __name__ == "__main__":
    main()
