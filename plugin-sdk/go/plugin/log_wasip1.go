package plugin

//go:wasmimport mqtt-source:plugin/host@0.1.0 log
func hostLog(level int32, target, line string)

func write(level Level, line string) { hostLog(int32(level), "plugin", line) }
