// Package value makes a plugin that decides the value of records.
package value

import "mqtt-source/plugin-sdk/plugin"

var decide func(*plugin.Message) ([]byte, error)

// Set says what decides, in an init function. Nil means the default, plugin.Null a tombstone.
func Set(function func(*plugin.Message) ([]byte, error)) { decide = function }
