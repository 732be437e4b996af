//! What the component model's bindings generator makes of the contract.

wasmtime::component::bindgen!({
    path: "../plugin-sdk/wit",
    world: "everything",
    ownership: Borrowing { duplicate_if_necessary: true },
    imports: { "mqtt-source:plugin/clock.now-ms": trappable },
});
