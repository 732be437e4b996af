package config

import "mqtt-source/plugin-sdk/internal/abi"

//go:wasmexport mqtt-source:plugin/lifecycle@0.1.0#init
func export(at, size uint32) uint32 {
	_, err := abi.Call(func() (struct{}, error) { return struct{}{}, start(abi.Config(at, size)) })
	return abi.Nothing(err)
}
