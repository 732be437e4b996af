"""The plugin as an ordinary module: `make test`."""

import unittest

from key import key, start
from plugin_sdk import NULL, make_message


class TheKey(unittest.TestCase):
    def test_is_what_the_pointer_points_to(self):
        start({"pointer": "/device/id"})
        for payload, wanted in {
            '{"device": {"id": "dev42"}}': "dev42",
            '{"device": {"id": [7]}}': [7],
            '{"device": {"id": null}}': NULL,
            '{"device": {}}': None,
            '{"device": ["id"]}': None,
            '{"device": {"id": 1}': None,
            "7": None,
            "": None,
        }.items():
            self.assertEqual(key(make_message("plant/dev42", payload)), wanted, payload)

    def test_may_be_in_what_a_deserializer_has_made(self):
        start({"pointer": "/slots/1"})
        self.assertEqual(key(make_message("t", b"\xa1", json='{"slots": [7, 8]}')), 8)

    def test_needs_a_pointer(self):
        for config in [{}, {"pointer": "device.id"}, {"pointer": 7}]:
            with self.assertRaisesRegex(ValueError, "`pointer` begins with a slash"):
                start(config)


if __name__ == "__main__":
    unittest.main()
