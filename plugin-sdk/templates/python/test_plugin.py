"""The plugin as an ordinary module: `make test`."""

import unittest

import {{file}} as plugin
from plugin_sdk import make_message


class Plugin(unittest.TestCase):
{{#deserializer}}
    def test_seven_bytes_become_json_and_all_else_stays(self):
        message = make_message("t", bytes([1, 0, 0, 0, 5, 255, 251]))
        self.assertEqual(plugin.deserialize(message), {"_timestamp": 5000, "celsius": -0.5})
        self.assertIsNone(plugin.deserialize(make_message("t", "{}")))

{{/deserializer}}
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
