package main

import (
	"errors"
	"testing"

	"mqtt-source/plugin-sdk/plugin"
)

func TestTheKeyIsWhatThePointerPointsTo(t *testing.T) {
	if err := start([]byte(`{"pointer": "/device/id"}`)); err != nil {
		t.Fatal(err)
	}
	for payload, wanted := range map[string]string{
		`{"device": {"id": "dev42"}}`:   "dev42",
		`{"device": {"id": [7, null]}}`: "[7, null]",
	} {
		key, err := part(&plugin.Message{Payload: []byte(payload)})
		if string(key) != wanted || err != nil {
			t.Errorf("the key of %s is %q, %v", payload, key, err)
		}
	}
	for _, payload := range []string{`{"device": {}}`, `{"device": {"id": 1}`, "", "7"} {
		if key, err := part(&plugin.Message{Payload: []byte(payload)}); key != nil || err != nil {
			t.Errorf("the key of %s is %q, %v", payload, key, err)
		}
	}
	_, err := part(&plugin.Message{Payload: []byte(`{"device": {"id": null}}`)})
	if !errors.Is(err, plugin.Null) {
		t.Error(err)
	}
}

func TestAPointerThatIsNoneIsRefused(t *testing.T) {
	for _, config := range []string{`{}`, `{"pointer": "device.id"}`, `{"pionter": "/a"}`} {
		if start([]byte(config)) == nil {
			t.Error(config)
		}
	}
}
