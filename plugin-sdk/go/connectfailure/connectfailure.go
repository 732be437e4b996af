// Package connectfailure makes a plugin that is told of failures to connect.
package connectfailure

import "mqtt-source/plugin-sdk/plugin"

var told func(*plugin.Connection, *plugin.Failure) error

// Set says what is called after each attempt to connect that failed, and after each connection that was lost,
// in an init function. Nil goes on, plugin.Stop ends the host.
func Set(function func(*plugin.Connection, *plugin.Failure) error) { told = function }
