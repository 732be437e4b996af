// Package abi carries messages and answers between Go and the host's memory layout (plugin.wit, by
// the canonical ABI of the component model). Addresses have 32 bits there, and 64 in Go.
package abi

import "unsafe"

// held keeps from the collector what the host has written or is about to read.
var (
	held     []any
	answered bool
)

// hold keeps something until the call after this one begins.
func hold(what any) { held = append(held, what) }

// begin frees what the last call needed.
func begin() {
	if answered {
		answered = false
		clear(held)
		held = held[:0]
	}
}

//go:wasmexport cabi_realloc
func realloc(old, oldSize, align, size uint32) uint32 {
	begin()
	if size == 0 {
		return align
	}
	// Words, because those are aligned for everything.
	memory := make([]uint64, (size+7)/8)
	hold(memory)
	if old != 0 {
		copy(bytes(uint32(address(&memory[0])), size), bytes(old, oldSize))
	}
	return address(&memory[0])
}

func address[T any](at *T) uint32 { return uint32(uintptr(unsafe.Pointer(at))) }

// at is a value of the host's, in memory that realloc gave.
func at[T any](address uint32) *T { return (*T)(unsafe.Pointer(uintptr(address))) }

func bytes(address, size uint32) []byte {
	if size == 0 {
		return []byte{}
	}
	return unsafe.Slice(at[byte](address), size)
}

// list is a list or a string.
type list struct{ at, size uint32 }

func (l list) bytes() []byte { return bytes(l.at, l.size) }
func (l list) text() string  { return unsafe.String(unsafe.SliceData(l.bytes()), l.size) }

func listOf[T any](items []T) list {
	if len(items) == 0 {
		return list{8, 0}
	}
	hold(items)
	return list{address(&items[0]), uint32(len(items))}
}

func textOf(text string) list { return listOf(unsafe.Slice(unsafe.StringData(text), len(text))) }

type option[T any] struct {
	there uint8
	value T
}

func some[T any](value T) option[T] { return option[T]{1, value} }

func (o option[T]) pointer() *T {
	if o.there == 0 {
		return nil
	}
	return &o.value
}
