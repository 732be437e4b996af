package config

import "mqtt-source/plugin-sdk/internal/abi"

//go:wasmexport mqtt-source:plugin/lifecycle@0.1.0#init
func export(at, size uint32) uint32 {
	return abi.Nothing(abi.Try(func() error { return start(abi.Config(at, size)) }))
}
