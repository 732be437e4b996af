package main

import (
	"testing"

	"mqtt-source/plugin-sdk/plugin"
)
{{#deserializer}}

func TestSevenBytesBecomeJSONAndAllElseStays(t *testing.T) {
	json, err := frame(&plugin.Message{Payload: []byte{1, 0, 0, 0, 5, 255, 251}})
	if string(json) != `{"_timestamp":5000,"celsius":-0.5}` || err != nil {
		t.Error(string(json), err)
	}
	if json, err := frame(&plugin.Message{Payload: []byte("{}")}); json != nil || err != nil {
		t.Error(string(json), err)
	}
}
{{/deserializer}}
{{#key}}

func TestTheKeyIsTheSecondLevel(t *testing.T) {
	if key, err := level(&plugin.Message{Topic: "plant/dev42/temp"}); string(key) != "dev42" || err != nil {
		t.Error(string(key), err)
	}
}
{{/key}}
{{#value}}

func TestTheValueHasNoBlanksAroundIt(t *testing.T) {
	value, err := trimmed(&plugin.Message{Payload: []byte(" 21.5 ")})
	if string(value) != "21.5" || err != nil {
		t.Error(string(value), err)
	}
}
{{/value}}
{{#timestamp}}

func TestTheTimestampIsTheTime(t *testing.T) {
	if ms, err := seconds(&plugin.Message{Payload: []byte(`{"time": 5}`)}); ms != 5000 || err != nil {
		t.Error(ms, err)
	}
}
{{/timestamp}}
{{#transformer}}

func TestEachLineBecomesARecord(t *testing.T) {
	for payload, wanted := range map[string]int{"a\nb": 2, "": 0} {
		records, err := lines(&plugin.Message{Payload: []byte(payload)}, &plugin.Record{})
		if len(records) != wanted || records == nil || err != nil {
			t.Error(payload, records, err)
		}
	}
}
{{/transformer}}
