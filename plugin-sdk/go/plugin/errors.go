package plugin

import "errors"

// Null, as the error of a key or value, means a Kafka null: no key, or a tombstone.
var Null = errors.New("null")

// Skip, as an error, means no record of this message, for this reason.
func Skip(reason string) error { return &Skipped{reason} }

// Fatal, as an error, means that the plugin cannot work at all, so messages wait for another one. Every
// other error means that this message is bad, and goes to the dead-letter topic. A panic is a failure of
// the plugin.
func Fatal(reason string) error { return &Failed{reason} }

// Stop, as the error of a hook, ends the host for this reason, after what it has taken is in Kafka. Every
// other error, and a panic, is logged, and the host goes on.
func Stop(reason string) error { return &Stopped{reason} }

// Skipped is what Skip makes.
type Skipped struct{ Reason string }

// Failed is what Fatal makes.
type Failed struct{ Reason string }

// Stopped is what Stop makes.
type Stopped struct{ Reason string }

func (s *Skipped) Error() string { return s.Reason }
func (f *Failed) Error() string  { return f.Reason }
func (s *Stopped) Error() string { return s.Reason }
