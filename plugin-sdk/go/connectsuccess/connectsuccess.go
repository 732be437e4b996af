// Package connectsuccess makes a plugin that is told of connections.
package connectsuccess

import "mqtt-source/plugin-sdk/plugin"

var told func(*plugin.Connection) error

// Set says what is called after each time that the MQTT server has accepted the connection and the subscription,
// in an init function. Nil goes on, plugin.Stop ends the host.
func Set(function func(*plugin.Connection) error) { told = function }
