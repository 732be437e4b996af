"""The plugin as an ordinary module: `make test`."""

import unittest

import {{file}} as plugin
from plugin_sdk import make_message


class Plugin(unittest.TestCase):
{{#key}}
    def test_the_key_is_the_second_level(self):
        self.assertEqual(plugin.key(make_message("plant/dev42/temp", "21.5")), "dev42")

{{/key}}
{{#value}}
    def test_the_value_has_no_blanks_around_it(self):
        self.assertEqual(plugin.value(make_message("t", " 21.5 ")), "21.5")

{{/value}}
{{#timestamp}}
    def test_the_timestamp_is_the_time(self):
        self.assertEqual(plugin.timestamp(make_message("t", '{"time": 5}')), 5000)
        self.assertIsNone(plugin.timestamp(make_message("t", "x")))

{{/timestamp}}
{{#transformer}}
    def test_each_line_becomes_a_record(self):
        records = plugin.lines(make_message("t", "a\nb"), None)
        self.assertEqual([record.value for record in records], ["a", "b"])
        self.assertEqual(plugin.lines(make_message("t", ""), None), [])

{{/transformer}}

if __name__ == "__main__":
    unittest.main()
