// The guest as an ordinary module: `make test`.
import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { connectFailureHook, failed, keySetter } from "./everything.js";
import { decode, encode } from "./plugin.js";

test("the time is that of the machine unless a test says otherwise", () => {
  const time = () => Number(decode(keySetter.key({ payload: encode("time") }).val));
  assert.ok(time() > 1_700_000_000_000);
  mock.timers.enable({ apis: ["Date"], now: 7 });
  assert.equal(time(), 7);
  mock.timers.reset();
});

const connection = (clientId) => ({ server: "broker:1883", clientId, attempt: 1 });
const failure = { reason: "refused", permanent: false, lost: true };

test("a hook goes on unless told to stop", () => {
  assert.equal(failed(connection("plant-1"), failure), undefined);
  assert.match(failed(connection("stop"), failure).reason, /^refused permanent=0 lost=1 broker:1883/);
});

test("a hook that fails goes on", () => {
  assert.deepEqual(connectFailureHook.onClientConnectFailure(connection("crash"), failure), { tag: "go-on" });
});
