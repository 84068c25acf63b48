"""Columna against other engines on real data: the same rows, the same answers, and files that anybody can read.

    python3 .ci/conformance.py --columna TARGET/debug/columna [--shared ../shared] [--only NAME] [--delta]

Needs Python 3.10 or newer. The other engines are installed at the versions of `requirements.txt` into an
environment of this script's own, in the user's cache folder.
"""

import argparse
import hashlib
import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent


def main():
    arguments = parse_arguments()
    python = environment()
    if pathlib.Path(sys.prefix).resolve() != python.parent.parent.resolve():
        os.execv(python, [str(python), str(HERE / "conformance.py"), *sys.argv[1:]])
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(HERE))
    from checks import suites

    with tempfile.TemporaryDirectory(prefix="columna-conformance-") as scratch:
        failed = suites.run(arguments, pathlib.Path(scratch))
    sys.exit(1 if failed else 0)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--columna", type=pathlib.Path, help="the binary; without it, only the other engines run")
    parser.add_argument(
        "--shared",
        type=pathlib.Path,
        default=pathlib.Path(os.environ.get("COLUMNA_SHARED") or HERE.parent.parent / "shared"),
        help="the shared data (default: ../shared beside the checkout)",
    )
    parser.add_argument("--only", metavar="NAME", help="only the checks and queries whose name contains this")
    parser.add_argument("--delta", action="store_true", help="also publish the stores as Delta tables and read them")
    arguments = parser.parse_args()
    if not (arguments.shared / "data").is_dir():
        parser.error(f"no such folder: {arguments.shared / 'data'}")
    if arguments.columna and not arguments.columna.is_file():
        parser.error(f"no such binary: {arguments.columna}; build it with `cargo build --bin columna`")
    return arguments


def environment():
    """The interpreter of an environment that has the requirements; made on the first run, and when they change."""
    requirements = HERE / "requirements.txt"
    made_from = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()[:16]
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    folder = cache / "columna" / f"conformance-{made_from}"
    python = folder / "bin" / "python"
    complete = folder / "complete"
    if not complete.exists():
        print(f"installing {requirements.name} into {folder}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", requirements]
        subprocess.run(install, check=True)
        complete.touch()
    return python


if __name__ == "__main__":
    main()
