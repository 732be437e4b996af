"""The guest as an ordinary module: `make test`."""

import unittest
from unittest import mock

import everything
from plugin_sdk import make_connection, make_failure, make_message


class Everything(unittest.TestCase):
    def test_the_time_is_that_of_the_machine_unless_a_test_says_otherwise(self):
        message = make_message("t", "time")
        self.assertGreater(int(everything.key(message)), 1_700_000_000_000)
        with mock.patch("plugin_sdk.now_ms", return_value=7):
            self.assertEqual(everything.key(message), "7")

    def test_a_hook_goes_on_unless_told_to_stop(self):
        failure = make_failure("refused", lost=True)
        self.assertIsNone(everything.failed(make_connection("broker:1883", "plant-1"), failure))
        stop = everything.failed(make_connection("broker:1883", "stop"), failure)
        self.assertRegex(stop.reason, "^refused permanent=0 lost=1 broker:1883")


if __name__ == "__main__":
    unittest.main()
