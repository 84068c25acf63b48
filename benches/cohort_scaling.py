"""How the time and memory of `columna cohort run` grow with definitions and with patients.

    python3 benches/cohort_scaling.py --columna BINARY --definitions FOLDER --store STORE [--store STORE …] [--runs 3]

For each store, 1, 10, 100 … and all definitions of the folder run together; the fastest of the runs counts. Time is that
of the whole process: definitions and vocabulary read, every row written to Parquet. Memory is its peak.
"""

import argparse
import os
import pathlib
import subprocess
import tempfile
import time


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--columna", required=True)
    parser.add_argument("--definitions", required=True, type=pathlib.Path)
    parser.add_argument("--store", required=True, action="append")
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    files = sorted(arguments.definitions.glob("*.json"), key=lambda path: (len(path.stem), path.stem))
    print("store\tdefinitions\tseconds\tpeak_mb\trows")
    for store in arguments.store:
        for count in counts(len(files)):
            # Spread over the folder, so that few definitions are not all of one author's.
            chosen = files[:: max(1, len(files) // count)][:count]
            measured = min(measure(arguments.columna, store, chosen) for _ in range(arguments.runs))
            print(pathlib.Path(store).name, count, *measured, sep="\t", flush=True)


def counts(most):
    count = 1
    while count < most:
        yield count
        count *= 10
    yield most


def measure(columna, store, definitions):
    with tempfile.TemporaryDirectory(prefix="columna-cohort-") as out:
        command = [columna, "-q", "cohort", "run", *map(str, definitions), "--store", store, "--out", out, "--format", "csv"]
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        output = process.stdout.read().decode()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"failed with {process.returncode}: {' '.join(command[:4])} …")
    rows = sum(int(line.rsplit(",", 1)[1]) for line in output.splitlines()[1:])
    return round(seconds, 2), usage.ru_maxrss // 1024, rows


if __name__ == "__main__":
    main()
