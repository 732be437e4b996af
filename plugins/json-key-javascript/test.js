// The plugin as an ordinary module: `make test`.
import assert from "node:assert/strict";
import { test } from "node:test";
import { part, start } from "./key.js";

const message = (payload) => ({ topic: "plant/dev42", payload: new TextEncoder().encode(payload) });

test("the key is what the pointer points to", () => {
  start({ pointer: "/device/id" });
  for (const [payload, key] of [
    ['{"device": {"id": "dev42"}}', "dev42"],
    ['{"device": {"id": "\\u00fcü😀"}}', "üü😀"],
    ['{"device": {"id": [7]}}', [7]],
    ['{"device": {"id": null}}', null],
    ['{"device": {}}', undefined],
    ['{"device": ["id"]}', undefined],
    ['{"device": {"id": 1}', undefined],
    ["7", undefined],
    ["", undefined],
  ]) {
    assert.deepEqual(part(message(payload)), key, payload);
  }
});

test("a deserializer may have made the JSON", () => {
  start({ pointer: "/slots/1" });
  assert.equal(part({ payload: Uint8Array.of(0xa1), json: '{"slots": [7, 8]}' }), 8);
});

test("a pointer that is none is refused", () => {
  for (const config of [{}, { pointer: "device.id" }, { pointer: 7 }]) {
    assert.throws(() => start(config), /`pointer` begins with a slash/);
  }
});
