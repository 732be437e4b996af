;; A component whose `key-setter` exists, with a function `key` of another type than the contract's.
(component
  (core module $code
    (func (export "key") (result i32) i32.const 0))
  (core instance $code (instantiate $code))
  (func $key (result u32) (canon lift (core func $code "key")))
  (instance $key-setter (export "key" (func $key)))
  (export "mqtt-source:plugin/key-setter@0.1.0" (instance $key-setter)))
