package connectsuccess

import "mqtt-source/plugin-sdk/internal/abi"

//go:wasmexport mqtt-source:plugin/connect-success-hook@0.1.0#on-client-connect-success
func export(server, serverSize, id, idSize, attempt, reconnect, sessionPresent uint32, atMs int64) uint32 {
	return abi.Hook("connect success hook", func() error {
		return told(abi.Connection(server, serverSize, id, idSize, attempt, reconnect, sessionPresent, atMs))
	})
}
