"""Every header compiles alone, and the check of it can fail."""

import os
import pathlib
import tempfile
import unittest

import headers

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]


class Headers(unittest.TestCase):
    def check(self, text):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "src" / "base"
            path.mkdir(parents=True)
            (path / "a.h").write_text(text)
            return headers.violations(folder)

    def test_each_header_of_this_repository_compiles_alone(self):
        build = os.environ.get("MESON_BUILD_ROOT", REPOSITORY / "build")
        self.assertEqual(headers.violations(REPOSITORY, build), [])

    def test_a_complete_header_passes(self):
        self.assertEqual(self.check("#pragma once\n#include <string>\nstd::string f();\n"), [])

    def test_finds_a_header_that_leans_on_another(self):
        found = self.check("#pragma once\nstd::string f();\n")
        self.assertEqual(len(found), 1)
        self.assertIn("a.h", found[0])

    def test_finds_a_header_that_cannot_be_included_twice(self):
        self.assertEqual(len(self.check("struct A {};\n")), 1)


if __name__ == "__main__":
    unittest.main()
