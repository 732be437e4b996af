package clock

//go:wasmimport mqtt-source:plugin/clock@0.1.0 now-ms
func nowMs() int64
