package abi

import "mqtt-source/plugin-sdk/plugin"

type record struct {
	topic       option[list]
	partition   option[uint32]
	key, value  variant
	timestampMs option[int64]
	headers     option[list]
}

type header struct {
	name  list
	value option[list]
}

// SoFar is the record that follows the message at an address.
func SoFar(address uint32) *plugin.Record {
	from := at[record](address + uint32(soFar))
	to := &plugin.Record{
		Partition:   from.partition.pointer(),
		Key:         from.key.content(),
		NoKey:       from.key.kind == contentNull,
		Value:       from.value.content(),
		Tombstone:   from.value.kind == contentNull,
		TimestampMs: from.timestampMs.value,
	}
	if from.topic.there != 0 {
		to.Topic = from.topic.value.text()
	}
	if from.headers.there != 0 {
		to.Headers = []plugin.Header{}
		for i := range from.headers.value.size {
			header := at[header](from.headers.value.at + i*20)
			to.Headers = append(to.Headers,
				plugin.Header{Name: header.name.text(), Value: bytesOrNil(header.value)})
		}
	}
	return to
}

const (
	contentDefault = iota
	contentNull
	contentBytes
)

func (v variant) content() []byte {
	if v.kind != contentBytes {
		return nil
	}
	return v.value.bytes()
}

func content(bytes []byte, null bool) variant {
	switch {
	case null:
		return variant{kind: contentNull}
	case bytes != nil:
		return variant{contentBytes, listOf(bytes)}
	default:
		return variant{kind: contentDefault}
	}
}

func recordOf(from *plugin.Record) record {
	to := record{
		key:   content(from.Key, from.NoKey),
		value: content(from.Value, from.Tombstone),
	}
	if from.Topic != "" {
		to.topic = some(textOf(from.Topic))
	}
	if from.Partition != nil {
		to.partition = some(*from.Partition)
	}
	if from.TimestampMs != 0 {
		to.timestampMs = some(from.TimestampMs)
	}
	if from.Headers != nil {
		headers := make([]header, len(from.Headers))
		for i, one := range from.Headers {
			headers[i].name = textOf(one.Name)
			if one.Value != nil {
				headers[i].value = some(listOf(one.Value))
			}
		}
		to.headers = some(listOf(headers))
	}
	return to
}
