// Package timestamp makes a plugin that decides the timestamp of records.
package timestamp

import "mqtt-source/plugin-sdk/plugin"

var decide func(*plugin.Message) (int64, error)

// Set says what decides, in an init function. It is in milliseconds since the
// Unix epoch; 0 means the default.
func Set(function func(*plugin.Message) (int64, error)) { decide = function }
