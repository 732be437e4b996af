package abi

import (
	"errors"

	"mqtt-source/plugin-sdk/plugin"
)

// Connection is what a hook is told, which is small enough to come as parameters.
func Connection(server, serverSize, id, idSize, attempt, reconnect, sessionPresent uint32, atMs int64) *plugin.Connection {
	return &plugin.Connection{
		Server:         list{server, serverSize}.text(),
		ClientID:       list{id, idSize}.text(),
		Attempt:        attempt,
		Reconnect:      reconnect != 0,
		SessionPresent: sessionPresent != 0,
		AtMs:           atMs,
	}
}

// Failure is what a hook is told besides.
func Failure(reason, reasonSize, permanent, lost uint32) *plugin.Failure {
	return &plugin.Failure{
		Reason:    list{reason, reasonSize}.text(),
		Permanent: permanent != 0,
		Lost:      lost != 0,
	}
}

// Hook runs a hook. One that fails means going on: nobody waits for it, and the instance stays.
func Hook(name string, hook func() error) uint32 {
	err := Try(hook)
	var stop *plugin.Stopped
	if err != nil && !errors.As(err, &stop) {
		plugin.Log(plugin.Error, "the "+name+" failed; going on without it: "+err.Error())
		err = nil
	}
	return Nothing(err)
}
