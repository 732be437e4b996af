;; A core module, as C or Go make them, that was built against another version of the contract.
(module
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable)
  (func (export "mqtt-source:plugin/key-setter@0.2.0#key") (param i32) (result i32) unreachable))
