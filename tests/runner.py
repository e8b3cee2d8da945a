"""Runs unittest classes of a folder, several at a time, and writes GoogleTest's result format.

runner.py [--jobs N] [--xml DIR] [--match REGEX] [--short] [--list] FOLDER

A class is the unit of work: its methods run one after the other in one process of their own.
Class attributes that the runner reads:
  exclusive = True   measures time or needs the whole machine: runs when nothing else does
  short = True       is part of --short, the selection that runs under the sanitizers
  weight = 5         how long it takes compared with others: long ones start first
Where FOLDER has a support.py, its setUpRun() and tearDownRun() are called around everything.
"""

import argparse
import importlib
import io
import multiprocessing
import os
import pathlib
import re
import sys
import time
import traceback
import unittest
import xml.etree.ElementTree as tree


class CaseResult:
    """One case: name, class, seconds and how it ended (passed, failed, skipped)."""

    def __init__(self, test, seconds, outcome, detail=""):
        self.class_name = type(test).__name__
        self.name = getattr(test, "_testMethodName", str(test))
        self.seconds = seconds
        self.outcome = outcome
        self.detail = detail


def describe(test, err):
    """The traceback, and what the test itself can tell (the log of its server)."""
    text = "".join(traceback.format_exception(*err))
    context = getattr(test, "failure_context", None)
    return text + (context() if context else "")


class Collector(unittest.TestResult):
    """Keeps every case with its outcome. A failing sub-test fails its case once."""

    def __init__(self):
        super().__init__()
        self.cases = []
        self.started = time.monotonic()
        self.sub_failures = []

    def startTest(self, test):
        super().startTest(test)
        self.started = time.monotonic()
        self.sub_failures = []

    def _add(self, test, outcome, detail=""):
        self.cases.append(CaseResult(test, time.monotonic() - self.started, outcome, detail))

    def addSuccess(self, test):
        self._add(test, "passed")

    def addFailure(self, test, err):
        self._add(test, "failed", describe(test, err))

    def addError(self, test, err):
        self._add(test, "failed", describe(test, err))

    def addSkip(self, test, reason):
        self._add(test, "skipped", reason)

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self.sub_failures.append(f"{subtest._subDescription()}\n{describe(test, err)}")

    def stopTest(self, test):
        super().stopTest(test)
        if self.sub_failures and not any(
                case.name == test._testMethodName and case.outcome == "failed"
                for case in self.cases):
            self._add(test, "failed", "\n".join(self.sub_failures))


def load(folder):
    """All test classes of the folder, as (module name, class name)."""
    classes = []
    for path in sorted(pathlib.Path(folder).glob("test_*.py")):
        module = importlib.import_module(path.stem)
        for name, value in vars(module).items():
            if (isinstance(value, type) and issubclass(value, unittest.TestCase)
                    and value.__module__ == path.stem):
                classes.append((path.stem, name))
    return classes


def run_class(work):
    """In a process of its own: runs the chosen methods of one class."""
    module_name, class_name, methods = work
    cls = getattr(sys.modules[module_name], class_name)
    collector = Collector()
    started = time.monotonic()
    # What a test prints belongs to its failure, not between the runner's lines.
    sys.stdout = sys.stderr = io.StringIO()
    try:
        unittest.TestSuite(cls(method) for method in methods).run(collector)
        printed = sys.stdout.getvalue()
    finally:
        sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
    for case in collector.cases:
        if case.outcome == "failed" and printed:
            case.detail += f"\nprinted by {class_name}:\n{printed}"
            break
    return class_name, collector.cases, time.monotonic() - started


def write_xml(path, cases):
    suites = tree.Element("testsuites", name="AllTests")
    by_class = {}
    for case in cases:
        by_class.setdefault(case.class_name, []).append(case)
    for class_name, members in by_class.items():
        suite = tree.SubElement(suites, "testsuite", name=class_name, tests=str(len(members)))
        for case in members:
            element = tree.SubElement(suite, "testcase", name=case.name, classname=class_name,
                                      time=f"{case.seconds:.3f}", status="run")
            # XML has no place for control bytes.
            detail = re.sub(r"[^\t\n\x20-\ud7ff\ue000-\ufffd]", "\ufffd", case.detail)
            if case.outcome == "failed":
                tree.SubElement(element, "failure", message=detail[:200]).text = detail
            elif case.outcome == "skipped":
                tree.SubElement(element, "skipped", message=detail)
    tree.ElementTree(suites).write(path, encoding="utf-8", xml_declaration=True)


def report(class_name, cases, seconds):
    failed = [case for case in cases if case.outcome == "failed"]
    skipped = [case for case in cases if case.outcome == "skipped"]
    print(f"{'FAILED' if failed else 'ok    '} {class_name}: {len(cases)} cases, "
          f"{len(failed)} failed, {len(skipped)} skipped, {seconds:.1f} s", flush=True)
    for case in failed:
        print(f"  FAILED {class_name}.{case.name}\n{case.detail}", flush=True)
    for case in skipped:
        print(f"  skipped {class_name}.{case.name}: {case.detail}", flush=True)


def choose(classes, options):
    """The work, split into what may run side by side and what wants to be alone."""
    shared, alone = [], []
    for module_name, class_name in classes:
        cls = getattr(sys.modules[module_name], class_name)
        methods = [method for method in unittest.TestLoader().getTestCaseNames(cls)
                   if re.search(options.match, f"{module_name}.{class_name}.{method}")]
        if not methods or (options.short and not getattr(cls, "short", False)):
            continue
        exclusive = getattr(cls, "exclusive", False)
        (alone if exclusive else shared).append((module_name, class_name, methods))
    # The long ones first, so that the end is not one of them alone.
    shared.sort(key=lambda work: -getattr(getattr(sys.modules[work[0]], work[1]), "weight", 1))
    return shared, alone


def run_all(shared, alone, jobs):
    cases = []
    # A fresh process per class: nothing leaks from one to the next.
    context = multiprocessing.get_context("fork")
    for works, workers in ((shared, jobs), (alone, 1)):
        with context.Pool(workers, maxtasksperchild=1) as pool:
            for class_name, results, seconds in pool.imap_unordered(run_class, works, 1):
                report(class_name, results, seconds)
                cases += results
    return cases


def main():
    parser = argparse.ArgumentParser()
    # Most of a test's time is waiting for time limits, so more of them than CPUs.
    parser.add_argument("--jobs", type=int, default=2 * (os.cpu_count() or 1))
    parser.add_argument("--xml")
    parser.add_argument("--match", default="")
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("folder")
    options = parser.parse_args()
    folder = pathlib.Path(options.folder).resolve()
    sys.path.insert(0, str(folder))
    shared, alone = choose(load(folder), options)
    if options.list:
        for module_name, class_name, methods in shared + alone:
            print("\n".join(f"{module_name}.{class_name}.{method}" for method in methods))
        return 0
    support = importlib.import_module("support") if (folder / "support.py").exists() else None
    started = time.monotonic()
    if support:
        support.setUpRun()
    try:
        cases = run_all(shared, alone, options.jobs)
    finally:
        if support:
            support.tearDownRun()
    # Under meson the place for results comes as for GoogleTest programs.
    xml = options.xml or os.environ.get("GTEST_OUTPUT", "").removeprefix("xml:")
    if xml:
        write_xml(pathlib.Path(xml) / f"{folder.name}.xml", cases)
    failed = sum(case.outcome == "failed" for case in cases)
    skipped = sum(case.outcome == "skipped" for case in cases)
    print(f"{folder.name}: {len(cases) - failed - skipped} passed, {failed} failed, "
          f"{skipped} skipped, {time.monotonic() - started:.0f} s", flush=True)
    return 1 if failed or not cases else 0


if __name__ == "__main__":
    sys.exit(main())
