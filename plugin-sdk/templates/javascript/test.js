// The plugin as an ordinary module: `npm test`.
import assert from "node:assert/strict";
import { test } from "node:test";
import * as plugin from "./{{file}}.js";

const message = (payload) => ({ topic: "plant/dev42/temp", payload: new TextEncoder().encode(payload) });
{{#deserializer}}

test("seven bytes become JSON, and all else stays", () => {
  const payload = Uint8Array.of(1, 0, 0, 0, 5, 255, 251);
  assert.deepEqual(plugin.deserialize({ payload }), { _timestamp: 5000, celsius: -0.5 });
  assert.equal(plugin.deserialize(message("{}")), undefined);
});
{{/deserializer}}
{{#key}}

test("the key is the second level", () => {
  assert.equal(plugin.key(message("21.5")), "dev42");
});
{{/key}}
{{#value}}

test("the value has no blanks around it", () => {
  assert.equal(plugin.value(message(" 21.5 ")), "21.5");
});
{{/value}}
{{#timestamp}}

test("the timestamp is the time", () => {
  assert.equal(Number(plugin.timestamp(message('{"time": 5}'))), 5000);
  assert.equal(plugin.timestamp(message("x")), undefined);
  assert.equal(plugin.timestamp(message("{}")), undefined);
});
{{/timestamp}}
{{#transformer}}

test("each line becomes a record", () => {
  assert.deepEqual(plugin.lines(message("a\nb")), [{ value: "a" }, { value: "b" }]);
  assert.deepEqual(plugin.lines(message("")), []);
});
{{/transformer}}
