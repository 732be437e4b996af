package deserializer

import "mqtt-source/plugin-sdk/internal/abi"

//go:wasmexport mqtt-source:plugin/payload-deserializer@0.1.0#deserialize
func export(message uint32) uint32 {
	return abi.JSON(abi.Call(func() ([]byte, error) { return decide(abi.Message(message)) }))
}
