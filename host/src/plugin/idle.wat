;; A plugin that answers "default" at once, so that what a call of it takes is the way there and back: a
;; packed key setter and a typed value setter. `UPDATE_IDLE=1 cargo test -p host --lib committed` assembles it.
(module
  (memory (export "memory") 2)
  ;; 0: an answer of a typed call, ok(default). 16: a list of bytes, its place and length.
  (global $heap (mut i32) (i32.const 1024))

  (func $allocate (param $size i32) (result i32)
    (local $at i32)
    (local.set $at (global.get $heap))
    (global.set $heap
      (i32.and (i32.add (i32.add (local.get $at) (local.get $size)) (i32.const 7)) (i32.const -8)))
    (block $enough
      (loop $grow
        (br_if $enough (i32.le_u (global.get $heap) (i32.shl (memory.size) (i32.const 16))))
        (br_if $grow (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))
        unreachable))
    (local.get $at))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (call $allocate (local.get 3)))
  (func $forget (param i32)
    (global.set $heap (i32.const 1024)))

  ;; One byte that says "default" for each message.
  (func (export "mqtt-source:plugin/packed-key-setter@0.1.0#keys")
    (param $at i32) (param $size i32) (result i32)
    (local $end i32) (local $count i32)
    (local.set $end (i32.add (local.get $at) (local.get $size)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
        (local.set $count (i32.add (local.get $count) (i32.const 1)))
        (local.set $at
          (i32.add (local.get $at)
            (i32.add (i32.const 28)
              (i32.add
                (i32.add (i32.load (local.get $at)) (i32.load offset=4 (local.get $at)))
                (i32.add (i32.load16_u offset=16 (local.get $at)) (i32.load offset=24 (local.get $at)))))))
        (br $next)))
    (i32.store (i32.const 16) (call $allocate (local.get $count)))
    (i32.store (i32.const 20) (local.get $count))
    ;; Messages of an earlier call may have been there.
    (memory.fill (i32.load (i32.const 16)) (i32.const 0) (local.get $count))
    (i32.const 16))
  (export "cabi_post_mqtt-source:plugin/packed-key-setter@0.1.0#keys" (func $forget))

  (func (export "mqtt-source:plugin/value-setter@0.1.0#value") (param i32) (result i32)
    (i32.const 0))
  (export "cabi_post_mqtt-source:plugin/value-setter@0.1.0#value" (func $forget)))
