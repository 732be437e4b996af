package plugin

// Level of a line in the host's log.
type Level int32

const (
	Error Level = iota
	Warn
	Info
	Debug
	Trace
)

// Log writes a line to the log of the host. What is printed gets there, too.
func Log(level Level, line string) { write(level, line) }
