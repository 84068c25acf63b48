#!/usr/bin/env python3
"""The EMR questions of `benches/queries/` through Columna, DuckDB and other engines, by turns; answers are compared.

    pip install duckdb polars chdb
    cargo build --release
    target/release/columna synth --patients 500000 --format omop-parquet --out hospital
    target/release/columna ingest hospital --store store
    python3 benches/compare.py --columna target/release/columna --store store

DuckDB reads the very Parquet files of the store in one process that stays warm. `--peers native polars chdb` also asks
DuckDB over a file of its own format made from them, Polars' SQL and ClickHouse (chdb) over the same Parquet: each in a
warm process of its own. Every run of Columna is a process of its own, with its start in its time. On a busy machine,
look at the CPU seconds, which include all threads. A question that Columna answers otherwise than DuckDB is named, and
the exit code is 1; a peer that cannot answer a question, or answers otherwise, has no figure for it.
"""

import argparse
import csv
import io
import json
import math
import multiprocessing
import os
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
    peers = {name: Peer(name, arguments) for name in ["duckdb", *arguments.peers]}
    others = [(name, pathlib.Path(path)) for name, path in (pair.split("=", 1) for pair in arguments.vs)]
    engines = [("columna", arguments.columna), *others]
    results, differing = [], []
    for file in sorted(arguments.queries.glob("*.sql")):
        if arguments.only and not any(file.stem.startswith(name) for name in arguments.only):
            continue
        sql = file.read_text()
        times = {name: [] for name in [*(name for name, _ in engines), *peers]}
        answers, unable = {}, {}
        for _ in range(arguments.runs):
            for name, binary in engines:
                wall, cpu, answers[name] = run_columna(binary, arguments, file)
                times[name].append((wall, cpu))
            for name, peer in peers.items():
                if name in unable:
                    continue
                outcome = peer.ask(sql, arguments.timeout)
                if isinstance(outcome, str):
                    unable[name] = outcome
                else:
                    wall, cpu, answers[name] = outcome
                    times[name].append((wall, cpu))
        if "duckdb" in unable:
            sys.exit(f"{file.stem}: DuckDB: {unable['duckdb']}")
        for name in peers:
            if name in answers and not agree(answers[name], answers["duckdb"]):
                unable[name] = "another answer"
        same = all(agree(answers[name], answers["duckdb"]) for name, _ in engines)
        if not same:
            differing.append(file.stem)
        row = {"question": file.stem, "rows": len(answers["duckdb"]), "same": same, "unable": unable}
        for name, runs in times.items():
            if name in unable:
                continue
            row[name] = {"wall": statistics.median(w for w, _ in runs), "cpu": statistics.median(c for _, c in runs)}
        results.append(row)
        print(line(row, engines), flush=True)
    summary(results, engines, list(peers))
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
    parser.add_argument("--peers", nargs="*", default=[], choices=["native", "polars", "chdb"], help="other engines than DuckDB over Parquet")
    parser.add_argument("--timeout", type=float, default=300, help="seconds that a peer may take for a question (default: %(default)s)")
    parser.add_argument("--json", type=pathlib.Path, help="also write the figures to this file")
    return parser.parse_args()


class Peer:
    """An engine in a process of its own, which stays warm and is begun anew where it fails."""

    def __init__(self, name, arguments):
        self.name, self.arguments, self.process = name, arguments, None

    def begin(self):
        context = multiprocessing.get_context("spawn")
        self.here, there = context.Pipe()
        folders = [f for f in sorted((self.arguments.store / "tables").iterdir()) if any(f.rglob("*.parquet"))]
        arguments = (there, self.name, folders, self.arguments.threads)
        self.process = context.Process(target=serve, args=arguments, daemon=True)
        self.process.start()
        self.here.recv()

    def ask(self, sql, timeout):
        """Seconds, processor seconds and rows, or why there are none."""
        if self.process is None or not self.process.is_alive():
            self.begin()
        try:
            self.here.send(sql)
            if self.here.poll(timeout):
                return self.here.recv()
            reason = "no answer in time"
        except (EOFError, BrokenPipeError):
            reason = "ended"
        self.process.kill()
        self.process.join()
        return reason


def serve(pipe, name, folders, threads):
    os.environ["POLARS_MAX_THREADS"] = str(threads)
    answer = {"duckdb": over_duckdb, "native": over_native, "polars": over_polars, "chdb": over_chdb}[name](folders, threads)
    pipe.send("ready")
    while True:
        sql = pipe.recv()
        start, cpu = time.perf_counter(), time.process_time()
        try:
            rows = answer(sql)
            pipe.send((time.perf_counter() - start, time.process_time() - cpu, rows))
        except BaseException as error:  # a panic of Polars is no Exception
            pipe.send(f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:200])


def over_duckdb(folders, threads, path=":memory:", kind="VIEW"):
    import duckdb

    peer = duckdb.connect(path)
    peer.execute(f"SET threads = {threads}; SET enable_progress_bar = false")
    for folder in folders:
        files = f"read_parquet('{folder}/**/*.parquet', hive_partitioning = false)"
        peer.execute(f'CREATE {kind} "{folder.name}" AS SELECT * FROM {files}')
    return lambda sql: peer.execute(sql).fetchall()


def over_native(folders, threads):
    path = tempfile.mkdtemp(prefix="columna-duckdb-")
    # The parent ends this process by a signal, so the file goes when the system cleans up; its name says whose it is.
    return over_duckdb(folders, threads, f"{path}/peer.duckdb", "TABLE")


def over_polars(folders, threads):
    import polars

    context = polars.SQLContext({folder.name: polars.scan_parquet(f"{folder}/**/*.parquet") for folder in folders})
    return lambda sql: context.execute(sql, eager=True).rows()


def over_chdb(folders, threads):
    from chdb import session

    peer = session.Session()
    settings = {"max_threads": threads, "join_use_nulls": 1, "union_default_mode": "'DISTINCT'", "aggregate_functions_null_for_empty": 1}
    for folder in folders:
        files = f"file('{folder}/**/*.parquet', Parquet)"
        columns = json.loads(peer.query(f"DESCRIBE TABLE {files}", "JSONCompact").bytes())["data"]
        # ClickHouse subtracts a Date from a Date, and no Date32 from a Date32.
        dates = ", ".join(f"toDate({name}) AS {name}" for name, kind, *_ in columns if "Date32" in kind)
        peer.query(f"CREATE VIEW {folder.name} AS SELECT *{f' REPLACE ({dates})' if dates else ''} FROM {files}")

    def ask(sql):
        options = ", ".join(f"{name} = {value}" for name, value in settings.items())
        answer = peer.query(f"{sql.rstrip().rstrip(';')}\nSETTINGS {options}", "JSONCompact")
        return json.loads(answer.bytes())["data"]

    return ask


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


def agree(ours, theirs):
    return len(ours) == len(theirs) and all(
        same(a, b) for x, y in zip(ordered(ours), ordered(theirs)) for a, b in zip(x, y, strict=True)
    )


def ordered(rows):
    return sorted(([value(v) for v in row] for row in rows), key=lambda row: [str(rounded(v)) for v in row])


def rounded(v):
    return float(f"{v:.6g}") if isinstance(v, float) else v


def value(v):
    """Numbers as numbers, booleans as words, and times as their text; nothing is NULL."""
    if v is None or v == "":
        return None
    text = str(v).lower() if isinstance(v, bool) else str(v)
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
    for name, peer in row.items():
        if name in ("native", "polars", "chdb"):
            parts.append(f"{name} {peer['wall']:7.2f} s {peer['cpu']:7.2f} cpu")
    parts += [f"{name}: {reason}" for name, reason in row["unable"].items()]
    return "  ".join(parts) + ("" if row["same"] else "  ANSWERS DIFFER")


def summary(results, engines, peers):
    for name in peers[1:]:
        for what in ("wall", "cpu"):
            both = [row for row in results if name in row]
            if both:
                ratios = [max(row["columna"][what], 1e-3) / max(row[name][what], 1e-3) for row in both]
                print(f"columna: {what}, geometric mean of {len(both)} against {name}: {statistics.geometric_mean(ratios):.2f}")
    if peers[1:]:
        for what in ("wall", "cpu"):
            fastest = [min(row[name][what] for name in peers if name in row) for row in results]
            ratios = [max(row["columna"][what], 1e-3) / max(best, 1e-3) for row, best in zip(results, fastest)]
            print(f"columna: {what}, geometric mean against the fastest of all: {statistics.geometric_mean(ratios):.2f}")
    for name, _ in engines:
        for what in ("wall", "cpu"):
            ratios = [max(row[name][what], 1e-3) / max(row["duckdb"][what], 1e-3) for row in results]
            mean = statistics.geometric_mean(ratios)
            print(f"{name}: {what}, geometric mean of {len(ratios)} against DuckDB {duckdb.__version__}: {mean:.2f}, worst {max(ratios):.2f}")


if __name__ == "__main__":
    main()
