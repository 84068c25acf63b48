#!/usr/bin/env python3
"""What encryption at rest costs: questions of a store and of an encrypted copy of it, and ingests with and without, by turns.

    python3 benches/encryption_cost.py --columna target/release/columna --store STORE [--source DELIVERY] [--runs 5]

Each run is a new process; the times are medians of wall and of processor time, the start of the process among them;
ratios are of pairs. The encrypted copy is made in a temporary folder under `--encrypt` (`all` unless told), and removed.
The store must not be encrypted and must have no policy of its own.
"""

import argparse
import pathlib
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

QUERIES = [
    "02_top_conditions", "03_prevalence", "05_readmission", "08_last_value_before_index", "09_incidence",
    "12_drug_eras_all", "14_measurement_quartiles", "19_wide_filter", "22_event_sequences", "26_measured_on_the_day",
]


def measured(command):
    def processor():
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    begin, before = time.perf_counter(), processor()
    ran = subprocess.run(command, capture_output=True, text=True)
    times = time.perf_counter() - begin, processor() - before
    if ran.returncode != 0:
        sys.exit(ran.stderr)
    return times, ran.stdout


def size(folder):
    return sum(file.stat().st_size for file in pathlib.Path(folder).rglob("*") if file.is_file())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--columna", required=True)
    parser.add_argument("--store", required=True)
    parser.add_argument("--source")
    parser.add_argument("--encrypt", default="all")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--queries", default=str(pathlib.Path(__file__).parent / "queries"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        key = subprocess.run([options.columna, "privacy", "key", "new", "store"], check=True, capture_output=True)
        keys = folder / "keys"
        keys.touch(mode=0o600)
        keys.write_bytes(key.stdout)
        sealed = folder / "sealed"
        shutil.copytree(options.store, sealed)
        measured([options.columna, "store", "encrypt", options.encrypt, "--store", str(sealed), "--keys", str(keys)])
        measured([options.columna, "store", "vacuum", "--everything", "--store", str(sealed), "--keys", str(keys)])
        print(f"bytes: plain {size(options.store):,}, encrypted {size(sealed):,}\n")
        print("| question | plain s | encrypted s | ratio, wall | ratio, processor |\n|---|---|---|---|---|")

        def compare(name, plain, encrypted, after=lambda: None):
            pairs, answers = [], set()
            for turn in range(options.runs + 1):
                both = []
                for command in (plain, encrypted):
                    times, said = measured(command)
                    both.append(times)
                    answers.add(said)
                    after()
                if turn > 0:
                    pairs.append(both)
            ratio = [statistics.median(b[kind] / max(a[kind], 1e-9) for a, b in pairs) for kind in (0, 1)]
            wall = [statistics.median(pair[at][0] for pair in pairs) for at in (0, 1)]
            print(f"| {name} | {wall[0]:.3f} | {wall[1]:.3f} | {ratio[0]:.2f} | {ratio[1]:.2f} |", flush=True)
            return ratio, answers

        ratios = []
        for name in QUERIES:
            ask = [options.columna, "sql", "--format", "csv", "-f", str(pathlib.Path(options.queries) / f"{name}.sql")]
            ratio, answers = compare(name, [*ask, "--store", options.store],
                                     [*ask, "--store", str(sealed), "--keys", str(keys)])
            if len(answers) != 1:
                sys.exit(f"{name}: the encrypted store answers otherwise")
            ratios.append(ratio)
        means = [statistics.geometric_mean(ratio[kind] for ratio in ratios) for kind in (0, 1)]
        print(f"| geometric mean | | | {means[0]:.2f} | {means[1]:.2f} |")
        if options.source:
            new = folder / "new"
            ingest = [options.columna, "ingest", options.source, "--store", str(new), "--quiet"]
            compare("ingest", ingest, [*ingest, "--encrypt", options.encrypt, "--keys", str(keys)],
                    lambda: shutil.rmtree(new))


if __name__ == "__main__":
    main()
