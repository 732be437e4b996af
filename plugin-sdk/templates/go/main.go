// What {{name}} decides about messages.
package main

import (
{{#deserializer}}
	"encoding/binary"
{{/deserializer}}
{{#json}}
	"encoding/json"
{{/json}}
{{#text}}
	"strings"
{{/text}}
{{#library}}

{{/library}}
{{#deserializer}}
	"mqtt-source/plugin-sdk/deserializer"
{{/deserializer}}
{{#key}}
	"mqtt-source/plugin-sdk/key"
{{/key}}
	"mqtt-source/plugin-sdk/plugin"
{{#timestamp}}
	"mqtt-source/plugin-sdk/timestamp"
{{/timestamp}}
{{#transformer}}
	"mqtt-source/plugin-sdk/transformer"
{{/transformer}}
{{#value}}
	"mqtt-source/plugin-sdk/value"
{{/value}}
)

func main() {}

func init() {
{{#deserializer}}
	deserializer.Set(frame)
{{/deserializer}}
{{#key}}
	key.Set(level)
{{/key}}
{{#value}}
	value.Set(trimmed)
{{/value}}
{{#timestamp}}
	timestamp.Set(seconds)
{{/timestamp}}
{{#transformer}}
	transformer.Set(lines)
{{/transformer}}
}
{{#deserializer}}

// Seven bytes: 1, seconds since the Unix epoch, tenths of a degree, big-endian. What is something else
// stays as it is.
func frame(m *plugin.Message) ([]byte, error) {
	if len(m.Payload) != 7 || m.Payload[0] != 1 {
		return nil, nil
	}
	seconds := binary.BigEndian.Uint32(m.Payload[1:])
	tenths := int16(binary.BigEndian.Uint16(m.Payload[5:]))
	return json.Marshal(map[string]any{
		"_timestamp": int64(seconds) * 1000,
		"celsius":    float64(tenths) / 10,
	})
}
{{/deserializer}}
{{#key}}

// plant/dev42/temp -> dev42
func level(m *plugin.Message) ([]byte, error) { return m.Level(1), nil }
{{/key}}
{{#value}}

// The payload as text, without blanks around it.
func trimmed(m *plugin.Message) ([]byte, error) {
	return []byte(strings.TrimSpace(string(m.Payload))), nil
}
{{/value}}
{{#timestamp}}

// The member time of a JSON payload, in seconds since the Unix epoch.
func seconds(m *plugin.Message) (int64, error) {
	var reading struct{ Time int64 }
	if json.Unmarshal(m.JSON(), &reading) != nil {
		return 0, nil
	}
	return reading.Time * 1000, nil
}
{{/timestamp}}
{{#transformer}}

// A record for each line of text; none for an empty payload.
func lines(m *plugin.Message, soFar *plugin.Record) ([]plugin.Record, error) {
	records := []plugin.Record{}
	for line := range strings.Lines(string(m.Payload)) {
		records = append(records, plugin.Record{Value: []byte(strings.TrimSuffix(line, "\n"))})
	}
	return records, nil
}
{{/transformer}}
