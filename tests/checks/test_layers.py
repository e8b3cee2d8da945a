"""The layer order holds, and the check of it can fail."""

import os
import pathlib
import tempfile
import unittest

import layers

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]


class Layers(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        self.write("include/postback/loop.h", "#include <cstdint>\n")
        self.write("src/base/check.h", '#include "postback/loop.h"\n')
        self.write("src/io/ring.h", '#include "base/check.h"\n#include <liburing.h>\n')
        self.write("src/http/parser.h", "")
        self.write("src/store/store.h", '#include "io/ring.h"\n')
        self.write("src/main.cc", '#include "store/store.h"\n')

    def write(self, path, text):
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def expect_fault(self, path, text, fault):
        self.write(path, text)
        found = layers.violations(self.root)
        self.assertEqual(len(found), 1, found)
        self.assertIn(fault, found[0])
        self.assertTrue(found[0].startswith(path), found)

    def test_this_repository_follows_the_order(self):
        self.assertEqual(layers.violations(REPOSITORY), [])

    def test_every_folder_of_the_order_that_exists_was_looked_at(self):
        folders = {path.name for path in os.scandir(REPOSITORY / "src") if path.is_dir()}
        self.assertLessEqual({"base", "io", "http", "conversion", "store"}, folders)

    def test_a_well_ordered_tree_has_no_violation(self):
        self.assertEqual(layers.violations(self.root), [])

    def test_finds_an_include_of_a_higher_layer(self):
        self.expect_fault("src/base/a.cc", '\n#include "store/store.h"\n', "must not include")

    def test_finds_siblings_that_see_each_other(self):
        self.expect_fault("src/io/a.cc", '#include "http/parser.h"\n', "must not include")

    def test_finds_an_include_of_base_in_the_public_headers(self):
        self.expect_fault("include/postback/a.h", '#include "base/check.h"\n', "must not include")

    def test_finds_a_library_in_the_public_headers(self):
        self.expect_fault("include/postback/a.h", "#include <absl/hash/hash.h>\n", "standard")

    def test_finds_a_path_that_is_not_spelled_from_the_root(self):
        self.expect_fault("src/io/a.cc", '#include "ring.h"\n', "not spelled from")

    def test_finds_our_own_header_in_angle_brackets(self):
        self.expect_fault("src/io/a.cc", "#include <base/check.h>\n", "in quotes")

    def test_finds_a_header_that_does_not_exist(self):
        self.expect_fault("src/io/a.cc", '#include "base/gone.h"\n', "does not exist")

    def test_finds_a_folder_without_a_rank(self):
        self.expect_fault("src/extra/a.cc", "", "has no rank")


if __name__ == "__main__":
    unittest.main()
