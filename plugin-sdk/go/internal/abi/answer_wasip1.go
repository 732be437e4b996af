package abi

import (
	"errors"
	"fmt"
	"os"

	"mqtt-source/plugin-sdk/plugin"
)

// variant is a case and what it holds, a list or text.
type variant struct {
	kind  uint8
	value list
}

// answer is `result<outcome, plugin-error>` where no case has a number of 64 bits.
type answer struct {
	failed uint8
	is     variant
}

var last answer

// said is the answer for the host, which reads it before the next call.
func said(failed uint8, kind uint8, value list) uint32 {
	last = answer{failed, variant{kind, value}}
	answered = true
	return address(&last)
}

// Call runs what a plugin decides. A panic is a failure of the plugin, and a trap.
func Call[T any](decide func() (T, error)) (T, error) {
	begin()
	defer func() {
		if panicked := recover(); panicked != nil {
			hostLog(int32(plugin.Error), "panic", fmt.Sprintf("panic: %v", panicked))
			os.Exit(2)
		}
	}()
	return decide()
}

// Try runs what may fail without harm, and makes a panic an error.
func Try(what func() error) (err error) {
	begin()
	defer func() {
		if panicked := recover(); panicked != nil {
			err = fmt.Errorf("panic: %v", panicked)
		}
	}()
	return what()
}

//go:wasmimport mqtt-source:plugin/host@0.1.0 log
func hostLog(level int32, target, line string)

// failed is the answer for an error that is no skip.
func failed(err error) (uint8, list) {
	var fatal *plugin.Failed
	if errors.As(err, &fatal) {
		return 1, textOf(fatal.Reason)
	}
	return 0, textOf(err.Error())
}

func skipped(err error) (list, bool) {
	var skip *plugin.Skipped
	if errors.As(err, &skip) {
		return textOf(skip.Reason), true
	}
	return list{}, false
}

// Bytes is the answer of a key or value setter.
func Bytes(bytes []byte, err error) uint32 {
	if errors.Is(err, plugin.Null) {
		return said(0, 1, list{})
	}
	return outcome(bytes == nil, 2, 3, func() list { return listOf(bytes) }, err)
}

// JSON is the answer of a deserializer.
func JSON(json []byte, err error) uint32 {
	return outcome(json == nil, 1, 2, func() list { return listOf(json) }, err)
}

// Records is the answer of a transformer.
func Records(records []plugin.Record, err error) uint32 {
	return outcome(records == nil, 1, 2, func() list {
		raw := make([]record, len(records))
		for i := range records {
			raw[i] = recordOf(&records[i])
		}
		return listOf(raw)
	}, err)
}

func outcome(nothing bool, some, skip uint8, value func() list, err error) uint32 {
	if err != nil {
		if reason, skips := skipped(err); skips {
			return said(0, skip, reason)
		}
		kind, text := failed(err)
		return said(1, kind, text)
	}
	if nothing {
		return said(0, 0, list{})
	}
	return said(0, some, value())
}

// Nothing is the answer of a start, and of a hook: nothing, or a reason.
func Nothing(err error) uint32 {
	startup.failed = 0
	if err != nil {
		startup = option32{1, textOf(err.Error())}
	}
	answered = true
	return address(&startup)
}

type option32 struct {
	failed uint8
	error  list
}

var startup option32

// timed is `result<time-outcome, plugin-error>`.
type timed struct {
	failed uint8
	kind   uint64
	value  uint64
}

var lastTimed timed

// Time is the answer of a timestamp setter; 0 is the default.
func Time(ms int64, err error) uint32 {
	lastTimed = timed{}
	answered = true
	if err != nil {
		if reason, skips := skipped(err); skips {
			lastTimed = timed{kind: 2, value: packed(reason)}
		} else {
			// The cases of an error begin at the same place, but what they hold begins earlier.
			kind, text := failed(err)
			lastTimed = timed{1, uint64(kind) | uint64(text.at)<<32, uint64(text.size)}
		}
	} else if ms != 0 {
		lastTimed = timed{kind: 1, value: uint64(ms)}
	}
	return address(&lastTimed)
}

func packed(text list) uint64 { return uint64(text.at) | uint64(text.size)<<32 }
