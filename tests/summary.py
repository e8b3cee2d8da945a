"""Counts test cases for tools/test, and compares meson options.

summary.py count FOLDER            prints the cases that failed and were skipped, then the line
                                   `N passed, N failed[, N skipped]`; exit status 1 when one failed.
                                   Each sub-folder holds result files (GoogleTest's XML) and, where
                                   meson ran them, its testlog.json.
summary.py options BUILD -Dk=v …   exit status 0 when the build folder already has these options.
"""

import json
import os
import pathlib
import sys
import xml.etree.ElementTree


class Count:
    def __init__(self):
        self.passed = 0
        self.failed = []
        self.skipped = []

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped


def count_file(path):
    """The cases of one result file."""
    count = Count()
    for case in xml.etree.ElementTree.parse(path).iter("testcase"):
        name = f"{case.get('classname')}.{case.get('name')}"
        skipped = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            count.failed.append(name)
        elif case.get("status") == "notrun":
            count.skipped.append(f"{name}: disabled")
        elif case.get("result") == "skipped" or skipped is not None:
            reason = skipped.get("message") if skipped is not None else ""
            count.skipped.append(f"{name}: {' '.join((reason or '').split())}")
        else:
            count.passed += 1
    return count


def count_folder(folder):
    """The cases of one run. A program that died before it wrote its results is one failed case."""
    total = Count()
    by_stem = {}
    for path in sorted(folder.glob("*.xml")):
        count = count_file(path)
        total.add(count)
        # The second run of one program writes NAME_1.xml.
        stem = path.stem.rstrip("0123456789")
        stem = stem[:-1] if stem.endswith("_") and stem != path.stem else path.stem
        by_stem.setdefault(stem, Count()).add(count)
    log = folder / "testlog.json"
    for line in log.read_text().splitlines() if log.exists() else []:
        test = json.loads(line)
        stems = {pathlib.Path(argument).name for argument in test["command"]}
        known = [by_stem[stem] for stem in stems if stem in by_stem]
        if test["result"] in ("OK", "EXPECTEDFAIL"):
            total.passed += 0 if known else 1
        elif test["result"] == "SKIP":
            total.skipped += [] if known else [test["name"]]
        elif not any(count.failed for count in known):
            total.failed.append(f"{test['name']}: {test['result']}")
    return total


def count_all(folder):
    total = Count()
    for run in sorted(path for path in pathlib.Path(folder).iterdir() if path.is_dir()):
        count = count_folder(run)
        print(f"== {run.name}: {count.passed} passed, {len(count.failed)} failed, "
              f"{len(count.skipped)} skipped")
        for name in count.failed:
            print(f"failed: {name}")
        for name in count.skipped:
            print(f"skipped: {name}")
        total.add(count)
    line = f"{total.passed} passed, {len(total.failed)} failed"
    if total.skipped:
        line += f", {len(total.skipped)} skipped"
    print(line)
    return 1 if total.failed or not total.passed else 0


def options_stand(build, options):
    path = os.path.join(build, "meson-info", "intro-buildoptions.json")
    try:
        with open(path, encoding="utf-8") as file:
            current = {option["name"]: option["value"] for option in json.load(file)}
    except (OSError, ValueError):
        return 1
    for option in options:
        name, _, value = option.removeprefix("-D").partition("=")
        now = current.get(name)
        now = str(now).lower() if isinstance(now, bool) else str(now)
        if now != value:
            return 1
    return 0


if __name__ == "__main__":
    if sys.argv[1] == "count":
        sys.exit(count_all(sys.argv[2]))
    sys.exit(options_stand(sys.argv[2], sys.argv[3:]))
