// Has every ability, and does what the payload says.
package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"mqtt-source/plugin-sdk/clock"
	"mqtt-source/plugin-sdk/connectfailure"
	"mqtt-source/plugin-sdk/connectsuccess"
	"mqtt-source/plugin-sdk/deserializer"
	"mqtt-source/plugin-sdk/key"
	"mqtt-source/plugin-sdk/plugin"
	"mqtt-source/plugin-sdk/timestamp"
	"mqtt-source/plugin-sdk/transformer"
	"mqtt-source/plugin-sdk/value"
)

var calls int

func main() {}

func init() {
	key.Set(func(m *plugin.Message) ([]byte, error) {
		if string(m.Payload) == "empty" {
			return []byte{}, nil
		}
		if strings.HasPrefix(string(m.Payload), "count") {
			calls++
			return []byte(strconv.Itoa(calls)), nil
		}
		if string(m.Payload) == "time" {
			return strconv.AppendInt(nil, clock.NowMs(), 10), nil
		}
		return told(m, []byte("key"))
	})
	value.Set(see)
	timestamp.Set(func(m *plugin.Message) (int64, error) { return told[int64](m, 5_000_000_000) })
	deserializer.Set(func(m *plugin.Message) ([]byte, error) { return told(m, []byte(`{"_key":"ü"}`)) })
	transformer.Set(transform)
	connectsuccess.Set(func(c *plugin.Connection) error { return hook(c, "connected") })
	connectfailure.Set(failed)
}

// told answers as the payload says; the zero value is the default.
func told[T any](m *plugin.Message, answer T) (nothing T, err error) {
	plugin.Log(plugin.Debug, "told what to do")
	fmt.Println("told what to do")
	switch string(m.Payload) {
	case "answer":
		return answer, nil
	case "null":
		return nothing, plugin.Null
	case "skip":
		return nothing, plugin.Skip("told to skip")
	case "bad":
		return nothing, errors.New("told to be bad: ü")
	case "fatal":
		return nothing, plugin.Fatal("told to end")
	case "crash":
		panic("crashed: ü")
	case "bug":
		return told(nil, answer)
	}
	return nothing, nil
}

func see(m *plugin.Message) ([]byte, error) {
	text := fmt.Sprintf("%s %s qos=%d retain=%d dup=%d id=%d at=%d", m.Topic, m.Payload, m.QoS,
		digit(m.Retain), digit(m.Dup), m.PacketID, m.ReceivedAtMs)
	if p := m.Properties; p != nil {
		text += maybe("format", p.PayloadFormat) + maybe("expiry", p.MessageExpirySecs) +
			maybe("type", p.ContentType) + maybe("response", p.ResponseTopic)
		if p.CorrelationData != nil {
			text += " correlation=" + string(p.CorrelationData)
		}
		for _, pair := range p.User {
			text += " " + pair.Name + "=" + pair.Value
		}
	}
	if m.Deserialized != nil {
		text += " json=" + string(m.Deserialized)
	}
	return []byte(text), nil
}

func digit(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

func maybe[T any](name string, value *T) string {
	if value == nil {
		return ""
	}
	return fmt.Sprintf(" %s=%v", name, *value)
}

func transform(m *plugin.Message, soFar *plugin.Record) ([]plugin.Record, error) {
	if string(m.Payload) == "none" {
		return []plugin.Record{}, nil
	}
	partition := uint32(3)
	small := *soFar
	small.Value = []byte("v")
	return told(m, []plugin.Record{{
		Topic:       "alarms",
		Partition:   &partition,
		Key:         []byte("k"),
		Tombstone:   true,
		TimestampMs: 5_000_000_000,
		Headers:     []plugin.Header{{Name: "a", Value: []byte("1")}, {Name: "b"}},
	}, small})
}

func failed(c *plugin.Connection, f *plugin.Failure) error {
	return hook(c, fmt.Sprintf("%s permanent=%d lost=%d", f.Reason, digit(f.Permanent), digit(f.Lost)))
}

func hook(c *plugin.Connection, what string) error {
	switch c.ClientID {
	case "crash":
		panic("crashed: ü")
	case "bad":
		return errors.New("told to be bad: ü")
	case "stop":
		return plugin.Stop(fmt.Sprintf("%s %s attempt=%d reconnect=%d session=%d late=%d", what, c.Server,
			c.Attempt, digit(c.Reconnect), digit(c.SessionPresent), digit(c.AtMs > 1_700_000_000_000)))
	}
	return nil
}
