// Package transformer makes a plugin that makes any number of records of one.
package transformer

import "mqtt-source/plugin-sdk/plugin"

var decide func(*plugin.Message, *plugin.Record) ([]plugin.Record, error)

// Set says what decides, in an init function. It gets the message, whose payload is the value so
// far, and what else has been decided. Nil leaves the record as it came; no records, but not nil,
// are none.
func Set(function func(*plugin.Message, *plugin.Record) ([]plugin.Record, error)) {
	decide = function
}
