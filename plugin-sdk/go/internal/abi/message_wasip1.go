package abi

import (
	"unsafe"

	"mqtt-source/plugin-sdk/plugin"
)

type message struct {
	topic, payload list
	qos            uint8
	retain, dup    bool
	packetID       option[uint16]
	receivedAtMs   int64
	properties     option[properties]
	json           option[list]
}

type properties struct {
	payloadFormat     option[uint8]
	messageExpirySecs option[uint32]
	contentType       option[list]
	responseTopic     option[list]
	correlationData   option[list]
	user              list
}

// soFar follows the message in memory.
const soFar = unsafe.Sizeof(message{})

// Another layout than the contract's does not compile.
var (
	_ [104 - soFar]struct{}
	_ [soFar - 104]struct{}
	_ [80 - unsafe.Sizeof(record{})]struct{}
	_ [unsafe.Sizeof(record{}) - 80]struct{}
)

// Message is the message at an address.
func Message(address uint32) *plugin.Message {
	from := at[message](address)
	to := &plugin.Message{
		Topic:        from.topic.text(),
		Payload:      from.payload.bytes(),
		QoS:          int(from.qos),
		Retain:       from.retain,
		Dup:          from.dup,
		PacketID:     from.packetID.value,
		ReceivedAtMs: from.receivedAtMs,
	}
	if from.json.there != 0 {
		to.Deserialized = from.json.value.bytes()
	}
	if from.properties.there != 0 {
		to.Properties = from.properties.value.properties()
	}
	return to
}

func (p *properties) properties() *plugin.Properties {
	to := &plugin.Properties{
		PayloadFormat:     p.payloadFormat.pointer(),
		MessageExpirySecs: p.messageExpirySecs.pointer(),
		ContentType:       textOrNil(p.contentType),
		ResponseTopic:     textOrNil(p.responseTopic),
		CorrelationData:   bytesOrNil(p.correlationData),
	}
	for i := range p.user.size {
		pair := at[[2]list](p.user.at + i*uint32(unsafe.Sizeof([2]list{})))
		to.User = append(to.User, plugin.UserProperty{Name: pair[0].text(), Value: pair[1].text()})
	}
	return to
}

func textOrNil(from option[list]) *string {
	if from.there == 0 {
		return nil
	}
	text := from.value.text()
	return &text
}

func bytesOrNil(from option[list]) []byte {
	if from.there == 0 {
		return nil
	}
	return from.value.bytes()
}

// Config is the configuration at an address.
func Config(at, size uint32) []byte { return bytes(at, size) }
