// Package clock tells the time, which the user may let a plugin know.
package clock

// NowMs is the time, in milliseconds since the Unix epoch. The user has to allow it (clock = true beside
// the plugin's file, or --plugin-clock); otherwise a call spoils the message at hand, and no recover
// helps. When cases are tested, it is when the message arrived. In tests with go test it is the time of
// the machine, or what StandAt says.
func NowMs() int64 { return nowMs() }
