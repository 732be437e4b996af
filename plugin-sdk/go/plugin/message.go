// Package plugin has what plugins get and what they answer. What a plugin decides is said with one
// of the packages beside it: key, value, timestamp, transformer, deserializer, connectsuccess,
// connectfailure, and config.
package plugin

import "strings"

// Message is an MQTT message as host received it. It stays valid for as long as it is used.
type Message struct {
	Topic   string
	Payload []byte
	QoS     int
	Retain  bool
	Dup     bool
	// PacketID is 0 at QoS 0.
	PacketID uint16
	// ReceivedAtMs is in milliseconds since the Unix epoch.
	ReceivedAtMs int64
	// Properties are nil before MQTT 5.
	Properties *Properties
	// Deserialized is the JSON text that a payload deserializer made of the payload, nil without one.
	Deserialized []byte
}

// Properties of an MQTT 5 message. What is nil was not there.
type Properties struct {
	// PayloadFormat is 1 for UTF-8 text.
	PayloadFormat     *uint8
	MessageExpirySecs *uint32
	ContentType       *string
	ResponseTopic     *string
	CorrelationData   []byte
	// User properties in the order received.
	User []UserProperty
}

// UserProperty is a name and a value; a name may occur more than once.
type UserProperty struct{ Name, Value string }

// Level is a level of the topic, counted from 0, or nil if the topic has fewer.
func (m *Message) Level(n int) []byte {
	levels := strings.Split(m.Topic, "/")
	if n < 0 || n >= len(levels) {
		return nil
	}
	return []byte(levels[n])
}

// JSON is what a payload deserializer made of the payload, or else the payload.
func (m *Message) JSON() []byte {
	if m.Deserialized != nil {
		return m.Deserialized
	}
	return m.Payload
}
