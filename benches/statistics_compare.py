#!/usr/bin/env python3
"""Outcome statistics against R, lifelines, scikit-learn, DuckDB and Polars, on the same generated patients, in one run.

    python3 benches/statistics_compare.py --columna target/release/columna --kernel target/release/examples/outcome_speed

generates 1,000,000 patients (integer days up to 3,650, 12.6 % events, two arms, 11 terms), asks everybody for the same
results, compares the numbers, and prints a table. --patients N grows it, --growth N,N,… asks Columna alone, over resident
columns, for each of these numbers of patients (a run each: the columns of 50,000,000 take 1.5 GB of disk and 7 GB of memory); --only TASK,… and --peers NAME,… restrict it;
--kernel comes from `cargo build --release -p columna-stats --example outcome_speed`. Needs numpy and pyarrow, and of the
peers what there is: a missing one is named. Exit code 1 if a result differs.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

TERMS = 11
TASKS = {
    "km": "Kaplan-Meier of two arms with log-log intervals, and log-rank test",
    "cox": "Cox, Efron, 11 terms",
    "cox-all": "the same with concordance, baseline and robust SE",
    "logistic": "logistic regression, 10 terms",
}


def generate(patients, folder, parquet):
    """Raw columns for the kernel, R and the peers, and, unless `parquet` is None, one Parquet file for SQL."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(20240229)
    beta = np.array([-0.30, 0.25, 0.035, 0.01, 0.004, -0.008, 0.012, 0.4, 0.5, 0.6, 0.002])

    def block(n):
        x = np.empty((n, TERMS), dtype=np.int16)
        x[:, 0] = rng.integers(0, 2, n)  # arm
        x[:, 1] = rng.integers(0, 2, n)  # sex
        x[:, 2] = np.clip(rng.normal(62, 13, n), 18, 99)  # age
        x[:, 3] = np.clip(rng.normal(27, 5, n), 14, 60)  # body mass index
        x[:, 4] = np.clip(rng.normal(134, 18, n), 80, 230)  # systolic pressure
        x[:, 5] = np.clip(rng.normal(75, 20, n), 8, 140)  # filtration rate
        x[:, 6] = np.clip(rng.normal(52, 14, n), 25, 140)  # HbA1c
        x[:, 7] = rng.random(n) < 0.2  # smoker
        x[:, 8] = rng.random(n) < 0.25  # diabetes
        x[:, 9] = rng.random(n) < 0.1  # earlier infarction
        x[:, 10] = np.clip(rng.normal(120, 35, n), 20, 300)  # LDL
        lp = (x - np.array([0, 0, 62, 27, 134, 75, 52, 0, 0, 0, 120])) @ beta
        t = rng.exponential(1.0, n) / (RATE * np.exp(lp))
        c = np.minimum(rng.uniform(0, 7300, n), 3650)
        days = np.ceil(np.clip(np.minimum(t, c), 1, 3650)).astype(np.int16)
        event = (t <= c).astype(np.uint8)
        y = (rng.random(n) < 1 / (1 + np.exp(2.35 - 0.6 * lp))).astype(np.uint8)
        return days, event, y, x

    files = {}
    schema = pa.schema(
        [("time", pa.int32()), ("event", pa.int8()), ("outcome", pa.int8())]
        + [(f"x{i + 1}", pa.int16()) for i in range(TERMS)]
    )
    os.makedirs(folder, exist_ok=True)
    names = ["time.i16", "event.u8", "arm.u8", "outcome.u8"] + [f"x{i + 1}.i16" for i in range(TERMS)]
    for name in names:
        files[name] = open(os.path.join(folder, name), "wb")
    events = 0
    with pq.ParquetWriter(parquet or os.devnull, schema, compression="zstd") as out:
        left = patients
        while left:
            n = min(left, 1_000_000)
            days, event, y, x = block(n)
            events += int(event.sum())
            days.tofile(files["time.i16"])
            event.tofile(files["event.u8"])
            x[:, 0].astype("uint8").tofile(files["arm.u8"])
            y.tofile(files["outcome.u8"])
            for i in range(TERMS):
                np.ascontiguousarray(x[:, i]).tofile(files[f"x{i + 1}.i16"])
            columns = [days.astype("int32"), event.astype("int8"), y.astype("int8")] + [x[:, i] for i in range(TERMS)]
            if parquet:
                out.write_table(pa.table([pa.array(c) for c in columns], schema=schema), row_group_size=122_880)
            left -= n
    for file in files.values():
        file.close()
    return events / patients


# Events per day at the average covariates: 12.6 % have the event.
RATE = 3.38e-5


def measured(command, **options):
    """Runs a command; its output, wall seconds, processor seconds and peak MB."""
    begin = time.time()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)
    out, err = process.stdout.read(), process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise RuntimeError(err.strip() or f"{command[0]} failed")
    return out, time.time() - begin, usage.ru_utime + usage.ru_stime, usage.ru_maxrss // 1024


def kernel(args, folder, task, runs=None):
    out, *_ = measured([args.kernel, folder, task, str(runs or args.runs)])
    found = json.loads(out)
    return min(found["seconds"]), min(found["processor"]), found["value"], found["peak_mb"]


def statements(task):
    terms = ", ".join(f"'x{i + 1}', x{i + 1}" for i in range(TERMS if task != "logistic" else TERMS - 1))
    return {
        "km": [
            "SELECT logrank_test(time, event, x1)['chisq'] FROM t",
            "SELECT x1, cardinality(kaplan_meier(time, event, conf_type => 'log-log')) FROM t GROUP BY x1",
        ],
        "cox": [f"SELECT cox_ph(time, event, named_struct({terms}))[1]['coefficient'] FROM t"],
        "cox-all": [
            f"SELECT cox_ph(time, event, named_struct({terms}), robust => true)[1]['coefficient'], "
            f"cox_ph_tests(time, event, named_struct({terms}), robust => true)['concordance'], "
            f"cardinality(cox_baseline(time, event, named_struct({terms}))) FROM t"
        ],
        "logistic": [f"SELECT logistic_regression(outcome, named_struct({terms}))[2]['coefficient'] FROM t"],
    }[task]


def sql(args, parquet, task):
    table = f"CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION '{parquet}'"
    best = None
    for _ in range(args.runs):
        script = ";\n".join([table, *statements(task)])
        out, wall, cpu, peak = measured([args.columna, "sql", "-c", script, "--format", "csv"])
        value = float(out.splitlines()[1].split(",")[0])
        best = (wall, cpu, value, peak) if best is None else (min(wall, best[0]), min(cpu, best[1]), value, max(peak, best[3]))
    return best


def scan(args, parquet):
    """What it costs to start and to read the columns: their sums."""
    sums = ", ".join(f"sum({c})" for c in ["time", "event", "outcome"] + [f"x{i + 1}" for i in range(TERMS)])
    script = f"CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION '{parquet}'; SELECT {sums} FROM t"
    runs = [measured([args.columna, "sql", "-c", script, "--format", "csv"])[1:3] for _ in range(args.runs)]
    return [min(column) for column in zip(*runs)]


R = r"""
suppressMessages(library(survival))
a <- commandArgs(TRUE); folder <- a[1]; task <- a[2]; runs <- as.integer(a[3])
bytes <- function(f, size, signed = TRUE) { p <- file.path(folder, f); readBin(p, "integer", file.size(p) / size, size, signed) }
event <- bytes("event.u8", 1, FALSE); time <- bytes("time.i16", 2)
terms <- function(n) { m <- sapply(seq_len(n), function(i) as.numeric(bytes(sprintf("x%d.i16", i), 2))); colnames(m) <- paste0("x", seq_len(n)); m }
work <- switch(task,
  km = { arm <- bytes("arm.u8", 1, FALSE); function() { s <- survfit(Surv(time, event) ~ arm, conf.type = "log-log"); survdiff(Surv(time, event) ~ arm)$chisq } },
  cox = { x <- terms(11); function() coef(coxph(Surv(time, event) ~ x))[1] },
  "coxph.fit" = { x <- terms(11); y <- Surv(time, event); function() coxph.fit(x, y, NULL, NULL, NULL, coxph.control(), NULL, "efron", NULL)$coefficients[1] },
  "cox-all" = { x <- terms(11); function() { m <- coxph(Surv(time, event) ~ x, robust = TRUE); b <- survfit(m); m$concordance; coef(m)[1] } },
  logistic = { x <- cbind(1, terms(10)); y <- bytes("outcome.u8", 1, FALSE); function() glm.fit(x, y, family = binomial())$coefficients[2] },
  glmnet = { x <- terms(10); y <- bytes("outcome.u8", 1, FALSE); suppressMessages(library(glmnet)); function() coef(glmnet(x, y, family = "binomial", lambda = 0))[2] })
wall <- Inf; cpu <- Inf
for (i in seq_len(runs)) { u <- system.time(value <- work()); if (u[3] < wall) { wall <- u[3]; cpu <- u[1] + u[2] } }
cat(wall, cpu, format(unname(value), digits = 15), "\n")
"""

PYTHON = r"""
import sys, time
import numpy as np
folder, name, task, runs, parquet = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), sys.argv[5]
read = lambda f, t: np.fromfile(f"{folder}/{f}", t)
KM = '''with leaving as (select x1, time, count(*) n, sum(event) d from t group by x1, time),
risk as (select *, sum(n) over (partition by x1 order by time desc) r from leaving),
curve as (select x1, time, r, d, exp(sum(ln(1 - d / r::double)) over w) s, sum(d / (r * (r - d)::double)) over w v from risk
  where r > d window w as (partition by x1 order by time)),
together as (select time, sum(d) d, sum(case when x1 = 0 then d else 0 end) d0 from leaving group by time),
r0 as (select time, sum(sum(case when x1 = 0 then n else 0 end)) over (order by time desc) n0,
  sum(sum(n)) over (order by time desc) n from leaving group by time),
test as (select sum(d0 - d * n0 / n) u, sum(case when n > 1 then d * (n0 / n) * (1 - n0 / n) * (n - d) / (n - 1) else 0 end) v
  from together join r0 using (time))
select (select u * u / v from test), (select sum(s ** exp(1.96 * sqrt(v) / ln(s))) from curve where s < 1)'''
if name == "lifelines":
    import pandas as pd
    from lifelines import CoxPHFitter, KaplanMeierFitter
    from lifelines.statistics import logrank_test
    time_, event = read("time.i16", "i2").astype(float), read("event.u8", "u1")
    if task == "km":
        arm = read("arm.u8", "u1") == 1
        def work():
            for one in (arm, ~arm):
                KaplanMeierFitter().fit(time_[one], event[one])
            return logrank_test(time_[arm], time_[~arm], event[arm], event[~arm]).test_statistic
    else:
        frame = pd.DataFrame({f"x{i}": read(f"x{i}.i16", "i2").astype(float) for i in range(1, 12)})
        frame["time"], frame["event"] = time_, event
        def work():
            return CoxPHFitter().fit(frame, "time", "event", robust=task == "cox-all").params_["x1"]
elif name == "sklearn":
    from sklearn.linear_model import LogisticRegression
    x = np.column_stack([read(f"x{i}.i16", "i2").astype(float) for i in range(1, 11)])
    y = read("outcome.u8", "u1")
    def work():
        return LogisticRegression(penalty=None, solver="newton-cholesky", tol=1e-8).fit(x, y).coef_[0][0]
elif name == "duckdb":
    import duckdb
    con = duckdb.connect()
    con.execute(f"create table t as select time, event, x1 from '{parquet}'")
    def work():
        return con.execute(KM).fetchone()[0]
elif name == "polars":
    import polars as pl
    frame = pl.read_parquet(parquet, columns=["time", "event", "x1"])
    def work():
        leaving = frame.group_by("x1", "time").agg(n=pl.len(), d=pl.col("event").cast(pl.Int64).sum()).sort("time", descending=True)
        curve = leaving.with_columns(r=pl.col("n").cum_sum().over("x1")).sort("time").filter(pl.col("r") > pl.col("d"))
        d, r = pl.col("d").cast(pl.Float64), pl.col("r").cast(pl.Float64)
        curve = curve.with_columns(s=(1 - d / r).log().cum_sum().over("x1").exp(), v=(d / (r * (r - d))).cum_sum().over("x1"))
        curve = curve.with_columns(lower=pl.col("s") ** (1.96 * pl.col("v").sqrt() / pl.col("s").log()).exp())
        wide = leaving.group_by("time").agg(d=pl.col("d").sum(), n=pl.col("n").sum(), d0=pl.col("d").filter(pl.col("x1") == 0).sum(),
            n0=pl.col("n").filter(pl.col("x1") == 0).sum()).sort("time", descending=True)
        wide = wide.with_columns(pl.col("n", "n0").cum_sum().cast(pl.Float64)).filter(pl.col("n") > 1)
        d, n, share = pl.col("d"), pl.col("n"), pl.col("n0") / pl.col("n")
        u, v = wide.select(u=(pl.col("d0") - d * share).sum(), v=(d * share * (1 - share) * (n - d) / (n - 1)).sum()).row(0)
        return u * u / v
best = 1e300
for _ in range(runs):
    a, c = time.perf_counter(), time.process_time()
    value = work()
    wall = time.perf_counter() - a
    if wall < best:
        best, cpu = wall, time.process_time() - c
print(best, cpu, repr(float(value)))
"""

PEERS = {
    "R": {"km": "km", "cox": "cox", "cox-all": "cox-all", "logistic": "logistic"},
    "R coxph.fit": {"cox": "coxph.fit"},
    "R glmnet": {"logistic": "glmnet"},
    "lifelines": {"km": "km", "cox": "cox", "cox-all": "cox-all"},
    "sklearn": {"logistic": "logistic"},
    "DuckDB": {"km": "km"},
    "Polars": {"km": "km"},
}


def peer(args, name, folder, parquet, task):
    word = PEERS[name][task]
    if name.startswith("R"):
        script = os.path.join(folder, "peer.R")
        with open(script, "w") as file:
            file.write(R)
        command = ["Rscript", script, folder, word, str(args.peer_runs)]
    else:
        command = [sys.executable, "-c", PYTHON, folder, name.lower(), word, str(args.peer_runs), parquet]
    out, _, _, peak = measured(command)
    wall, cpu, value = out.split()[-3:]
    return float(wall), float(cpu), float(value), peak


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--columna", help="needed unless --growth is given")
    parser.add_argument("--kernel", required=True)
    parser.add_argument("--patients", type=int, default=1_000_000)
    parser.add_argument("--growth", help="numbers of patients: how Columna's work over resident columns grows")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--peer-runs", type=int, default=1)
    parser.add_argument("--only", default=",".join(TASKS))
    parser.add_argument("--peers", default=",".join(PEERS))
    parser.add_argument("--dir", help="keep the generated columns here, and use them again")
    args = parser.parse_args()
    if args.growth:
        return growth(args)
    if not args.columna:
        parser.error("--columna is missing")
    folder = args.dir or tempfile.mkdtemp(prefix="columna-statistics-")
    parquet = os.path.join(folder, "patients.parquet")
    try:
        if not os.path.exists(parquet):
            share = generate(args.patients, folder, parquet)
            print(f"{args.patients:,} patients, {share:.1%} with the event", file=sys.stderr)
        wrong = compare(args, folder, parquet)
    finally:
        if not args.dir:
            shutil.rmtree(folder)
    sys.exit(1 if wrong else 0)


def growth(args):
    """One run of each task for each number of patients: what it costs, against the first number, and what it holds."""
    print("| work | patients | s | processor s | times | peak MB |\n|---|---|---|---|---|---|")
    first = {}
    for patients in map(int, args.growth.split(",")):
        folder = tempfile.mkdtemp(prefix="columna-statistics-", dir=args.dir)
        try:
            generate(patients, folder, None)
            for task in args.only.split(","):
                try:
                    wall, busy, _, peak = kernel(args, folder, task, 1)
                except RuntimeError as error:
                    print(f"{task} of {patients:,} patients: {error}", file=sys.stderr)
                    continue
                first.setdefault(task, busy)
                print(f"| {TASKS[task]} | {patients:,} | {wall:.3f} | {busy:.3f} | {busy / first[task]:.1f} | {peak:,} |", flush=True)
        finally:
            shutil.rmtree(folder)


def compare(args, folder, parquet):
    cost = scan(args, parquet)
    print(f"\nStart of the process and scan of all columns: {cost[0]:.3f} s, processor {cost[1]:.3f} s\n")
    print("| work | with | s | processor s | peak MB | ratio | ratio, processor |\n|---|---|---|---|---|---|---|")
    wrong = False
    for task in args.only.split(","):
        best, busy, value, peak = kernel(args, folder, task)
        print(f"| {TASKS[task]} | Columna, resident | {best:.4f} | {busy:.4f} | {peak:,} | 1 | 1 |", flush=True)
        wall, cpu, answer, peak = sql(args, parquet, task)
        ratios = f"{wall / best:.1f} | {cpu / busy:.1f}"
        print(f"| | `columna sql` from Parquet, all in | {wall:.3f} | {cpu:.2f} | {peak:,} | {ratios} |", flush=True)
        if abs(answer - value) > 1e-9 * abs(value):
            print(f"`columna sql` says {answer}, not {value}, for {task}", file=sys.stderr)
            wrong = True
        for name in args.peers.split(","):
            if task not in PEERS.get(name, {}):
                continue
            try:
                wall, cpu, answer, peak = peer(args, name, folder, parquet, task)
            except (RuntimeError, FileNotFoundError) as error:
                print(f"{name} cannot do {task}: {str(error).splitlines()[-1]}", file=sys.stderr)
                continue
            ratios = f"{wall / best:.0f} | {cpu / busy:.0f}"
            print(f"| | {name} | {wall:.3f} | {cpu:.2f} | {peak:,} | {ratios} |", flush=True)
            if abs(answer - value) > 1e-4 * abs(value):
                print(f"{name} says {answer}, not {value}, for {task}", file=sys.stderr)
                wrong = True
    return wrong


if __name__ == "__main__":
    main()
