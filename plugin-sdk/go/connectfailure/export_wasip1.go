package connectfailure

import "mqtt-source/plugin-sdk/internal/abi"

//go:wasmexport mqtt-source:plugin/connect-failure-hook@0.1.0#on-client-connect-failure
func export(server, serverSize, id, idSize, attempt, reconnect, sessionPresent uint32, atMs int64,
	reason, reasonSize, permanent, lost uint32) uint32 {
	return abi.Hook("connect failure hook", func() error {
		return told(
			abi.Connection(server, serverSize, id, idSize, attempt, reconnect, sessionPresent, atMs),
			abi.Failure(reason, reasonSize, permanent, lost),
		)
	})
}
