#!/usr/bin/env python3
"""What privacy costs: the same questions as a steward, as an analyst, and about groups only, by turns.

    python3 benches/guard_overhead.py --columna target/release/columna --store STORE [--runs 7]

Each question runs in a new process for each role, by turns; the times are medians of wall and of processor time, the start
of the process among them; ratios are of pairs, and of processor time, which does not depend on what else the machine does.
The policies are written into a temporary folder, which also takes the audit log: the store is read and nothing is written
beside it. It must not have a policy of its own.
"""

import argparse
import itertools
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

QUERIES = [
    "02_top_conditions", "03_prevalence", "05_readmission", "08_last_value_before_index", "09_incidence",
    "12_drug_eras_all", "14_measurement_quartiles", "19_wide_filter", "22_event_sequences", "26_measured_on_the_day",
]

# Questions about groups in a form that the aggregate role may ask, and that a steward may ask as well.
GROUPS = {
    "persons by sex and decade of birth":
        "SELECT gender_concept_id, year_of_birth // 10, count(*) FROM person GROUP BY 1, 2",
    "persons by condition":
        "SELECT condition_concept_id, count(DISTINCT person_id) FROM condition_occurrence GROUP BY 1",
    "visits by kind, with margins":
        "SELECT visit_concept_id, date_part('year', visit_start_date), count(*) FROM visit_occurrence "
        "GROUP BY CUBE (visit_concept_id, date_part('year', visit_start_date))",
    "mean of a measurement by sex":
        "SELECT p.gender_concept_id, avg(m.v) FROM person p JOIN (SELECT person_id, avg(value_as_number) AS v "
        "FROM measurement WHERE measurement_concept_id = 3004249 GROUP BY person_id) m ON p.person_id = m.person_id "
        "GROUP BY 1",
    "persons with two conditions":
        "SELECT count(*) FROM person p WHERE EXISTS (SELECT 1 FROM condition_occurrence c "
        "WHERE c.person_id = p.person_id AND c.condition_concept_id = 201826) AND EXISTS (SELECT 1 FROM "
        "condition_occurrence c WHERE c.person_id = p.person_id AND c.condition_concept_id = 316866)",
}

POLICY = """
version = 1
[projects.study]
[roles.steward]
kind = "steward"
purposes = ["measure"]
[roles.light]
kind = "analyst"
purposes = ["measure"]
[roles.pseudonymised]
kind = "analyst"
purposes = ["measure"]
projects = ["study"]
[roles.groups]
kind = "aggregate"
purposes = ["measure"]
disclosure = { profile = "opensafely" }
[[rules]]
roles = ["light", "groups"]
tables = ["@clinical", "@derived", "@health_system"]
classes = { person_key = "raw", key = "raw", date = "raw", code = "raw", value = "raw", quasi = "raw", free_text = "absent", direct = "absent" }
[[rules]]
name = "grown up"
roles = ["light"]
tables = ["person"]
filter = "year_of_birth < 2005"
[[rules]]
roles = ["pseudonymised"]
tables = ["@clinical", "@derived", "@health_system"]
classes = { person_key = "pseudonym", key = "pseudonym", date = "shift_date", code = "raw", value = "raw", quasi = "raw", free_text = "absent", direct = "absent" }
[[rules]]
tables = ["@vocabulary"]
classes = { code = "raw", key = "raw", value = "raw", date = "raw", direct = "raw", quasi = "raw", free_text = "raw" }
"""


def processor():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--columna", required=True)
    parser.add_argument("--store", required=True)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--queries", default=str(pathlib.Path(__file__).parent / "queries"))
    options = parser.parse_args()
    queries = {name: (pathlib.Path(options.queries) / f"{name}.sql").read_text() for name in QUERIES}
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "policy.toml").write_text(POLICY)
        key = subprocess.run([options.columna, "privacy", "key", "new", "study"], check=True, capture_output=True)
        (folder / "keys").touch(mode=0o600)
        (folder / "keys").write_bytes(key.stdout)

        # Each question by another principal: what was released before would be held against it.
        asked = itertools.count()

        def once(role, sql):
            script = folder / "question.sql"
            script.write_text(sql)
            command = [options.columna, "sql", "--store", options.store, "-f", str(script), "--format", "csv",
                       "--role", role, "--purpose", "measure", "--principal", f"bench{next(asked)}",
                       "--policy", str(folder / "policy.toml"), "--state", str(folder / "state"),
                       "--keys", str(folder / "keys")]
            begin, before = time.perf_counter(), processor()
            ran = subprocess.run(command, capture_output=True, text=True)
            wall, used = time.perf_counter() - begin, processor() - before
            if ran.returncode != 0:
                print(f"{role}: {ran.stderr.strip()}", file=sys.stderr)
                return None
            return wall, used

        def compare(title, questions, roles):
            others = "".join(f" {role} s | ratio, wall | ratio, processor |" for role in roles[1:])
            print(f"\n| {title} | steward s |{others}")
            print("|---|---|" + "---|---|---|" * (len(roles) - 1))
            ratios = {(role, kind): [] for role in roles[1:] for kind in (0, 1)}
            for name, sql in questions.items():
                times = {role: [] for role in roles}
                for role in roles:
                    once(role, sql)
                for _ in range(options.runs):
                    for role in roles:
                        times[role].append(once(role, sql))
                cells = [name, f"{statistics.median(t[0] for t in times['steward']):.3f}"]
                for role in roles[1:]:
                    if None in times[role]:
                        cells += ["-", "-", "-"]
                        continue
                    cells.append(f"{statistics.median(t[0] for t in times[role]):.3f}")
                    for kind in (0, 1):
                        # By turns, so that what else the machine does falls on both.
                        pairs = zip(times[role], times["steward"])
                        ratio = statistics.median(a[kind] / max(b[kind], 1e-9) for a, b in pairs)
                        ratios[role, kind].append(ratio)
                        cells.append(f"{ratio:.2f}")
                print("| " + " | ".join(cells) + " |", flush=True)
            cells = ["geometric mean", ""]
            for role in roles[1:]:
                cells.append("")
                cells += [f"{statistics.geometric_mean(ratios[role, kind]):.2f}" for kind in (0, 1)]
            print("| " + " | ".join(cells) + " |")

        compare("question", queries, ["steward", "light", "pseudonymised"])
        compare("question about groups", GROUPS, ["steward", "groups"])


if __name__ == "__main__":
    main()
