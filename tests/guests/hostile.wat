;; A key setter that does all kinds of harm, for tests of how the host deals with it: what the first
;; byte of a payload says. Any other payload is its own key. Written by hand, since no SDK would do
;; most of it.
;;
;;   t traps                          g answers with a kind that there is not
;;   l loops                          o answers with a size beyond the answer's end
;;   h calls the host for ever        u answers with text that is not UTF-8
;;   H the same with 16 MiB of text   s answers a byte too little
;;   r calls itself for ever          m answers five bytes too many
;;   e takes memory for ever          p answers from outside of its memory
;;   T takes tables for ever          z answers with more than it has
(module
  (import "mqtt-source:plugin/host@0.1.0" "log" (func $log (param i32 i32 i32 i32 i32)))
  (memory (export "memory") 2)
  (table $hoard 0 funcref)
  (data (i32.const 16) "shout")
  (data (i32.const 32) "it is me again, and again, and again")
  (global $heap (mut i32) (i32.const 65536))
  (func $allocate (param $size i32) (result i32)
    (local $at i32)
    (local.set $at (global.get $heap))
    (global.set $heap (i32.and (i32.add (i32.add (local.get $at) (local.get $size)) (i32.const 7)) (i32.const -8)))
    (block $enough
      (loop $grow
        (br_if $enough (i32.le_u (global.get $heap) (i32.shl (memory.size) (i32.const 16))))
        (br_if $grow (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))
        unreachable))
    local.get $at)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (call $allocate (local.get 3)))

  (func $is (param $what i32) (param $letter i32) (result i32)
    (i32.eq (local.get $what) (local.get $letter)))
  (func $recurse (param $depth i32) (result i32)
    (i32.add (i32.const 1) (call $recurse (i32.add (local.get $depth) (i32.const 1)))))
  (func $act (param $what i32)
    (local $large i32)
    (if (call $is (local.get $what) (i32.const 0x74 (; t ;))) (then unreachable))
    (if (call $is (local.get $what) (i32.const 0x6c (; l ;))) (then (loop $on (br $on))))
    (if (call $is (local.get $what) (i32.const 0x68 (; h ;)))
      (then (loop $on
        (call $log (i32.const 2) (i32.const 16) (i32.const 5) (i32.const 32) (i32.const 36))
        (br $on))))
    (if (call $is (local.get $what) (i32.const 0x48 (; H ;)))
      (then
        (local.set $large (i32.shl (memory.grow (i32.const 256)) (i32.const 16)))
        (loop $on
          (call $log (i32.const 2) (i32.const 16) (i32.const 5) (local.get $large) (i32.const 0x1000000))
          (br $on))))
    (if (call $is (local.get $what) (i32.const 0x72 (; r ;)))
      (then (drop (call $recurse (i32.const 0)))))
    (if (call $is (local.get $what) (i32.const 0x65 (; e ;)))
      (then
        (loop $on (br_if $on (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
        unreachable))
    (if (call $is (local.get $what) (i32.const 0x54 (; T ;)))
      (then
        (loop $on
          (br_if $on (i32.ne (table.grow $hoard (ref.null func) (i32.const 5000000)) (i32.const -1))))
        unreachable)))

  (func (export "mqtt-source:plugin/packed-key-setter@0.1.0#keys") (param $in i32) (param $size i32) (result i32)
    (local $end i32) (local $payload i32) (local $length i32) (local $what i32) (local $out i32)
    (local $to i32) (local $kind i32) (local $said i32) (local $begin i32)
    (local.set $end (i32.add (local.get $in) (local.get $size)))
    (local.set $out (call $allocate (i32.add (i32.const 16) (local.get $size))))
    (local.set $begin (i32.add (local.get $out) (i32.const 8)))
    (local.set $to (local.get $begin))
    (loop $next
      (local.set $length (i32.load (local.get $in)))
      (local.set $payload
        (i32.add (i32.add (local.get $in) (i32.const 28)) (i32.load16_u offset=16 (local.get $in))))
      (local.set $what (i32.load8_u (local.get $payload)))
      (call $act (local.get $what))
      (local.set $kind (i32.const 2))
      (local.set $said (local.get $length))
      (memory.copy (i32.add (local.get $to) (i32.const 5)) (local.get $payload) (local.get $length))
      (if (call $is (local.get $what) (i32.const 0x67 (; g ;))) (then (local.set $kind (i32.const 9))))
      (if (call $is (local.get $what) (i32.const 0x6f (; o ;))) (then (local.set $said (i32.const -1))))
      (if (call $is (local.get $what) (i32.const 0x75 (; u ;)))
        (then
          (local.set $kind (i32.const 3))
          (i32.store8 offset=5 (local.get $to) (i32.const 0xff))))
      (i32.store8 (local.get $to) (local.get $kind))
      (i32.store offset=1 (local.get $to) (local.get $said))
      (local.set $to (i32.add (i32.add (local.get $to) (i32.const 5)) (local.get $length)))
      (if (call $is (local.get $what) (i32.const 0x73 (; s ;)))
        (then (local.set $to (i32.sub (local.get $to) (i32.const 1)))))
      (if (call $is (local.get $what) (i32.const 0x6d (; m ;)))
        (then (local.set $to (i32.add (local.get $to) (i32.const 5)))))
      (if (call $is (local.get $what) (i32.const 0x70 (; p ;)))
        (then (local.set $begin (i32.const -16))))
      (if (call $is (local.get $what) (i32.const 0x7a (; z ;)))
        (then (local.set $to (i32.const 0x7fffffff))))
      (local.set $in
        (i32.add (i32.add (local.get $payload) (local.get $length)) (i32.load offset=4 (local.get $in))))
      (br_if $next (i32.and
        (i32.lt_u (local.get $in) (local.get $end))
        (i32.ne (local.get $to) (i32.const 0x7fffffff)))))
    (i32.store (local.get $out) (local.get $begin))
    (i32.store offset=4 (local.get $out)
      (i32.sub (local.get $to) (i32.add (local.get $out) (i32.const 8))))
    (global.set $heap (i32.const 65536))
    local.get $out))
