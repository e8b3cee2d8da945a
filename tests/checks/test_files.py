"""Bounds on files that reviewers would otherwise have to watch."""

import pathlib
import unittest

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
LINES_MAX = 600
COLUMNS_MAX = 100


def source_files():
    for folder in ("src", "include", "tests", "tools", "bench"):
        for path in sorted((REPOSITORY / folder).rglob("*")):
            if path.suffix in (".h", ".cc", ".c", ".py", ".lua") and path.is_file():
                yield path


class Files(unittest.TestCase):
    def test_no_source_file_is_longer_than_600_lines(self):
        long = [f"{path.relative_to(REPOSITORY)}: {count} lines" for path in source_files()
                if (count := path.read_text(encoding="utf-8").count("\n")) > LINES_MAX]
        self.assertEqual(long, [])

    def test_no_line_of_cpp_is_wider_than_100_columns(self):
        wide = [f"{path.relative_to(REPOSITORY)}:{number}" for path in source_files()
                if path.suffix in (".h", ".cc")
                for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
                # An address or a literal that cannot be broken stays whole.
                if len(line) > COLUMNS_MAX and "http" not in line and 'R"' not in line]
        self.assertEqual(wide, [])

    def test_nothing_is_left_to_do_in_the_sources(self):
        marks = ("TO" + "DO", "FIX" + "ME")
        found = [f"{path.relative_to(REPOSITORY)}:{number}" for path in source_files()
                 for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
                 if any(mark in line for mark in marks)]
        self.assertEqual(found, [])

    def test_every_cpp_test_is_built(self):
        forgotten = [str(path.relative_to(REPOSITORY))
                     for path in sorted((REPOSITORY / "tests").rglob("*_test.cc"))
                     if f"'{path.name}'" not in (path.parent / "meson.build").read_text("utf-8")]
        self.assertEqual(forgotten, [])


if __name__ == "__main__":
    unittest.main()
