package plugin

// Record is a Kafka record in the making. What is nil, zero or empty is as it came.
type Record struct {
	Topic     string
	Partition *uint32
	// Key: no bytes, but not nil, are an empty key.
	Key []byte
	// NoKey makes the key a null.
	NoKey bool
	Value []byte
	// Tombstone makes the value a null.
	Tombstone   bool
	TimestampMs int64
	// Headers are all of them; those that host makes are not added.
	Headers []Header
}

// Header of a Kafka record. A nil value is Kafka's null.
type Header struct {
	Name  string
	Value []byte
}
