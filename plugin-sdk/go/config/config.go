// Package config makes a plugin that has a configuration.
package config

var start func([]byte) error

// Init says what takes the configuration, in an init function: a JSON object, {} if there is none. An
// error says what is wrong with it.
func Init(function func(json []byte) error) { start = function }
