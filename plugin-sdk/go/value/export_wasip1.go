package value

import "mqtt-source/plugin-sdk/internal/abi"

//go:wasmexport mqtt-source:plugin/value-setter@0.1.0#value
func export(message uint32) uint32 {
	return abi.Bytes(abi.Call(func() ([]byte, error) { return decide(abi.Message(message)) }))
}
