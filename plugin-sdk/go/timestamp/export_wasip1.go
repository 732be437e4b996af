package timestamp

import "mqtt-source/plugin-sdk/internal/abi"

//go:wasmexport mqtt-source:plugin/timestamp-setter@0.1.0#timestamp
func export(message uint32) uint32 {
	return abi.Time(abi.Call(func() (int64, error) { return decide(abi.Message(message)) }))
}
