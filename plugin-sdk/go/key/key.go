// Package key makes a plugin that decides the key of records.
package key

import "mqtt-source/plugin-sdk/plugin"

var decide func(*plugin.Message) ([]byte, error)

// Set says what decides, in an init function. Nil means the default, plugin.Null no key.
func Set(function func(*plugin.Message) ([]byte, error)) { decide = function }
