"""The report of a study in a browser: nothing is asked for, nothing goes wrong, everything has a name, a phone can show it.

    python3 .ci/browser.py --columna TARGET/debug/columna [--browser chromium]

Needs Python 3.10 or newer and Chromium; without Chromium it says so and passes.
"""

import argparse
import collections
import html.parser
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

NAMES = ["chromium", "chromium-browser", "google-chrome"]
PHONE = 390  # pixels
QUIET = """--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync --disable-component-update
--disable-background-networking --allow-file-access-from-files --enable-logging=stderr --v=0 --virtual-time-budget=4000""".split()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--columna", type=pathlib.Path, required=True, help="the binary")
    parser.add_argument("--browser", help="Chromium; otherwise it is looked for")
    arguments = parser.parse_args()
    browser = arguments.browser or next(filter(None, map(shutil.which, NAMES)), None)
    if not browser:
        print("skipped: no Chromium found; the report was not opened", file=sys.stderr)
        return
    with tempfile.TemporaryDirectory(prefix="columna-browser-") as scratch:
        scratch = pathlib.Path(scratch)
        try:
            opened(browser, "about:blank", scratch)
        except (OSError, subprocess.SubprocessError) as error:
            print(f"skipped: {browser} does not start here ({error}); the report was not opened", file=sys.stderr)
            return
        page = study(arguments.columna.resolve(), scratch)
        wrong = look(browser, page, scratch)
    for one in wrong:
        print(f"wrong: {one}", file=sys.stderr)
    print(f"browser: {len(wrong)} problems", file=sys.stderr)
    sys.exit(1 if wrong else 0)


def study(columna, scratch):
    """The report of the study that ships, on a small hospital."""

    def run(*words):
        done = subprocess.run([columna, *words], cwd=scratch, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"columna {' '.join(words)}: {done.stderr}")

    run("synth", "--patients", "4000", "--seed", "101", "--out", "hospital")
    run("ingest", "hospital", "--store", "store")
    run("study", "init", "--example", "study.yaml")
    run("study", "run", "study.yaml", "--store", "store", "--out", "run")
    return scratch / "run" / "report.html"


def opened(browser, url, scratch):
    """The page's document after its scripts ran, and what the browser's console said."""
    done = subprocess.run(
        [browser, *QUIET, f"--user-data-dir={scratch / 'profile'}", "--dump-dom", url],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def look(browser, page, scratch):
    document, console = opened(browser, page.as_uri(), scratch)
    wrong = [f"the console says: {line}" for line in console]
    # The page's own policy turns every request into an error of the console, so that silence means none was made.
    if "default-src 'none'" not in document:
        wrong.append("the page does not forbid requests")
    names = Names()
    names.feed(document)
    wrong += names.problems()
    narrow = scratch / "phone.html"
    narrow.write_text(
        f'<iframe id="page" src="{page.as_uri()}" style="width:{PHONE}px;height:9000px;border:0"></iframe>'
        '<p id="width"></p><script>onload=function(){var d=document.getElementById("page").contentDocument.documentElement;'
        'document.getElementById("width").textContent="width "+d.scrollWidth+" of "+d.clientWidth}</script>'
    )
    document, _ = opened(browser, narrow.as_uri(), scratch)
    found = re.search(r"width (\d+) of (\d+)", document)
    if not found:
        wrong.append("the page's width on a phone could not be measured")
    elif int(found[1]) > int(found[2]):
        wrong.append(f"on a phone the page is {found[1]} pixels wide, {found[2]} are to be seen")
    return wrong


class Names(html.parser.HTMLParser):
    """What a screen reader and a keyboard need."""

    def __init__(self):
        super().__init__()
        self.counts = collections.Counter()
        self.ids, self.links, self.levels, self.wrong = [], [], [], []
        self.within = []

    def handle_starttag(self, tag, attributes):
        has = dict(attributes)
        self.counts[tag] += 1
        if has.get("id"):
            self.ids.append(has["id"])
        if tag == "html" and not has.get("lang"):
            self.wrong.append("the page names no language")
        if tag == "svg" and not (has.get("role") == "img" and has.get("aria-label")):
            self.wrong.append("a figure has no name")
        if tag == "th" and not has.get("scope"):
            self.wrong.append("a heading of a table says not what it is of")
        if has.get("tabindex") == "0" and not has.get("aria-label"):
            self.wrong.append("something that takes the keyboard has no name")
        if tag == "a":
            self.links.append(has.get("href", ""))
        for name in ("src", "srcset", "action", "poster"):
            if has.get(name):
                self.wrong.append(f"{tag} asks for {has[name]}")
        if re.fullmatch("h[1-6]", tag):
            self.levels.append(int(tag[1]))

    def problems(self):
        wrong = self.wrong
        for tag, within in (("desc", "svg"), ("caption", "table")):
            if self.counts[tag] != self.counts[within] or not self.counts[within]:
                wrong.append(f"{self.counts[within]} of {within}, and {self.counts[tag]} of {tag}")
        if self.levels.count(1) != 1:
            wrong.append("the page has not one first heading")
        if any(b > a + 1 for a, b in zip(self.levels, self.levels[1:])):
            wrong.append("a level of headings is left out")
        wrong += [f"the anchor {one} is there twice" for one, n in collections.Counter(self.ids).items() if n > 1]
        wrong += [f"the link {link} leads nowhere" for link in self.links if link[:1] != "#" or link[1:] not in self.ids]
        return wrong


if __name__ == "__main__":
    main()
