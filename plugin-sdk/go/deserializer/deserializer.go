// Package deserializer makes a plugin that makes JSON of payloads.
package deserializer

import "mqtt-source/plugin-sdk/plugin"

var decide func(*plugin.Message) ([]byte, error)

// Set says what decides, in an init function. Nil leaves the payload as it is.
func Set(function func(*plugin.Message) ([]byte, error)) { decide = function }
