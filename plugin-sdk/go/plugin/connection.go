package plugin

// Connection is a connection to the MQTT server, or an attempt to make one.
type Connection struct {
	// Server is HOST:PORT.
	Server   string
	ClientID string
	// Attempt is which one this was since the last connection, counted from 1.
	Attempt uint32
	// Reconnect: there has been a connection before.
	Reconnect bool
	// SessionPresent: the server had kept the session. Only of a connection that was made.
	SessionPresent bool
	// AtMs is when host noticed, in milliseconds since the Unix epoch.
	AtMs int64
}

// Failure is why there is no connection.
type Failure struct {
	Reason string
	// Permanent: trying again with the same options cannot help.
	Permanent bool
	// Lost: it had been in use; otherwise the attempt to make one failed.
	Lost bool
}
