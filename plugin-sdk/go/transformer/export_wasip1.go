package transformer

import (
	"mqtt-source/plugin-sdk/internal/abi"
	"mqtt-source/plugin-sdk/plugin"
)

//go:wasmexport mqtt-source:plugin/transformer@0.1.0#transform
func export(message uint32) uint32 {
	return abi.Records(abi.Call(func() ([]plugin.Record, error) {
		return decide(abi.Message(message), abi.SoFar(message))
	}))
}
