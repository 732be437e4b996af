//go:build !wasip1

package clock

import "time"

var standing int64

// StandAt makes the clock stand, for a test; 0 makes it go on. It is not there in a plugin.
func StandAt(ms int64) { standing = ms }

func nowMs() int64 {
	if standing != 0 {
		return standing
	}
	return time.Now().UnixMilli()
}
