// The record's key is a part of a JSON payload, which the configuration points to (RFC 6901): with
// {"pointer": "/device/id"}, the payload {"device": {"id": "dev42"}} gets the key dev42.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	"mqtt-source/plugin-sdk/config"
	"mqtt-source/plugin-sdk/key"
	"mqtt-source/plugin-sdk/plugin"
)

var pointer = "/_key"

func main() {}

func init() {
	config.Init(start)
	key.Set(part)
}

func start(text []byte) error {
	given := struct{ Pointer string }{}
	reader := json.NewDecoder(bytes.NewReader(text))
	reader.DisallowUnknownFields()
	if err := reader.Decode(&given); err != nil {
		return err
	}
	if !strings.HasPrefix(given.Pointer, "/") {
		return errors.New("`pointer` begins with a slash, as in /device/id")
	}
	pointer = given.Pointer
	return nil
}

// Without such a part the key is the default. What is no text becomes its JSON.
func part(message *plugin.Message) ([]byte, error) {
	found := json.RawMessage(message.JSON())
	if !json.Valid(found) {
		return nil, nil
	}
	for _, step := range strings.Split(pointer, "/")[1:] {
		if found = child(found, step); found == nil {
			return nil, nil
		}
	}
	var text string
	switch {
	case string(found) == "null":
		return nil, plugin.Null
	case json.Unmarshal(found, &text) == nil:
		return []byte(text), nil
	default:
		return found, nil
	}
}

// child is a member of an object or an element of an array, nil if there is none.
func child(parent json.RawMessage, step string) json.RawMessage {
	var members map[string]json.RawMessage
	if json.Unmarshal(parent, &members) == nil {
		return members[strings.NewReplacer("~1", "/", "~0", "~").Replace(step)]
	}
	var elements []json.RawMessage
	index, err := strconv.Atoi(step)
	if err != nil || json.Unmarshal(parent, &elements) != nil || index < 0 || index >= len(elements) {
		return nil
	}
	return elements[index]
}
