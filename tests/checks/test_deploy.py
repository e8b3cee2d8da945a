"""The systemd unit: systemd passes over a key that stands in the wrong section, with a line in a log."""
import configparser
import pathlib
import unittest

UNIT = pathlib.Path(__file__).parents[2] / "deploy" / "postbackd.service"


def sections(text):
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str
    parser.read_string(text)
    return {name: dict(parser[name]) for name in parser.sections()}


class DeployTest(unittest.TestCase):
    def test_systemd_restarts_the_server_for_as_long_as_it_takes(self):
        unit = sections(UNIT.read_text(encoding="utf-8"))
        # systemd.unit(5): in [Unit], not in [Service], where its forerunner stood.
        self.assertEqual(unit["Unit"].get("StartLimitIntervalSec"), "0")
        self.assertEqual(unit["Service"].get("Restart"), "always")
        for name, keys in unit.items():
            limits = [key for key in keys if key.startswith("StartLimit")]
            self.assertTrue(name == "Unit" or not limits, f"{limits} in [{name}]")


if __name__ == "__main__":
    unittest.main()
