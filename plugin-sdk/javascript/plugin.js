// Write a plugin for `host` in JavaScript: functions, and exports that say what they decide.
//
//     import { keySetter as key, level } from "./plugin.js";
//     export const keySetter = key((message) => level(message, 1));
//
// The names of the exports are those of the contract's interfaces (plugin.wit). What `badMessage` makes,
// and errors of JSON.parse and decodeURIComponent (SyntaxError, URIError), make the message a bad one,
// with their text, when they are thrown. Anything else that is thrown (TypeError, RangeError, Error, ...)
// is a failure of the plugin. docs/plugin-languages.md of `host` says more.

/** Decides the key: text, bytes, null for no key, undefined for the default. */
export const keySetter = (decide) => ({ key: (message) => answer(() => bytesOutcome(decide(message))) });

/** Decides the value: text, bytes, null for a tombstone, undefined for the default. */
export const valueSetter = (decide) => ({ value: (message) => answer(() => bytesOutcome(decide(message))) });

/** Decides the timestamp: a Date, or milliseconds since the Unix epoch; undefined for the default. */
export const timestampSetter = (decide) => ({
  timestamp: (message) =>
    answer(() => outcome(decide(message), (time) => ({ tag: "epoch-ms", val: milliseconds(time) }))),
});

/** Makes JSON of the payload: whatever JSON can say; undefined leaves the payload as it is. */
export const payloadDeserializer = (decide) => ({
  deserialize: (message) =>
    answer(() => outcome(decide(message), (value) => ({ tag: "json", val: JSON.stringify(value) }))),
});

/** Makes any number of records of one: true or undefined leaves it, false drops it; or a record, or
 * an array of them. A record is {topic, partition, key, value, timestamp, headers}, all optional;
 * headers are pairs [name, value]. */
export const transformer = (decide) => ({
  transform: (message, soFar) =>
    answer(() => {
      let records = decide(message, soFar);
      if (records === true) records = undefined;
      if (records === false) records = [];
      return outcome(records, (some) => ({ tag: "records", val: [some].flat().map(record) }));
    }),
});

/** Takes the configuration, an object. An exception says what is wrong with it. */
export const lifecycle = (start) => ({
  init(config) {
    try {
      start(JSON.parse(config));
    } catch (error) {
      throw said(error);
    }
  },
});

/** Is called after each time that the MQTT server has accepted the connection and the subscription, with
 * {server, clientId, attempt, reconnect, sessionPresent, atMs}. `stop("reason")` ends `host`; anything
 * else, also an exception, which is logged, goes on. */
export const connectSuccessHook = (told) => ({
  onClientConnectSuccess: (connection) => hook("connect success hook", () => told(connection)),
});

/** Is called after each attempt to connect that failed, and after each connection that was lost, with the
 * same and {reason, permanent, lost}. */
export const connectFailureHook = (told) => ({
  onClientConnectFailure: (connection, failure) => hook("connect failure hook", () => told(connection, failure)),
});

/** `host` ends, after what it has taken is in Kafka, for this reason: `return stop("no session")`. */
export const stop = (reason) => new Stop(reason);

/** No record of this message, for this reason: `return skip("too old")`. */
export const skip = (reason) => new Skip(reason);

/** This message is bad, and goes to the dead-letter topic: `throw badMessage("no device")`. */
export const badMessage = (reason) => new BadMessage(reason);

/** The plugin cannot work at all, so messages wait for another one: `throw fatal("no table")`. */
export const fatal = (reason) => new Fatal(reason);

/** The payload as text. */
export const text = (message) => decode(message.payload);

/** What a payload deserializer made of the payload, or else the payload, as a value. */
export const json = (message) => JSON.parse(message.json ?? text(message));

/** A level of the topic, counted from 0; undefined if it has fewer. */
export const level = (message, number) => message.topic.split("/")[number];

/** Writes a line to the log of `host`; in a test, to the console. */
export function log(line, level = "info") {
  if (host) host.log(level, "plugin", line);
  else console.error(level.toUpperCase(), line);
}

/** The time, in milliseconds since the Unix epoch, as `Date.now()` in a test; in a plugin that is a trap.
 * The world has to `import clock;`, and the user has to allow it (`clock = true` beside the plugin's
 * file, or --plugin-clock); otherwise the call spoils the message. When cases are tested, it is when the
 * message arrived. */
export function nowMs() {
  if (!host) return Date.now();
  if (!clock) throw new Error("the plugin has no clock: add `import clock;` to its world");
  return Number(clock.nowMs());
}

// What the host offers is there if the world imports it, and not in a test.
const offered = (name) => import(`mqtt-source:plugin/${name}@0.1.0`).catch(() => undefined);
const [host, clock] = [await offered("host"), await offered("clock")];

class Skip {
  constructor(reason) {
    this.reason = String(reason);
  }
}

class Stop extends Skip {}

class BadMessage extends Error {}

class Fatal extends Error {}

const said = (error) => (error instanceof Error ? error.message : String(error));

const ofTheMessage = [BadMessage, SyntaxError, URIError];

// A thrown object of the contract is an answer. Anything else is a trap.
function answer(decide) {
  try {
    return decide();
  } catch (error) {
    if (error instanceof Fatal) throw { tag: "fatal", val: said(error) };
    if (ofTheMessage.some((kind) => error instanceof kind)) throw { tag: "bad-message", val: said(error) };
    const [place] = error?.stack?.match(/[^\s(]*:\d+/) ?? [];
    if (host) host.log("error", "panic", `${error}${place ? ` (${place})` : ""}`);
    throw error;
  }
}

function hook(name, tell) {
  try {
    const decided = tell();
    if (decided instanceof Stop) return { tag: "stop", val: decided.reason };
  } catch (error) {
    log(`the ${name} failed; going on without it: ${said(error)}`, "error");
  }
  return { tag: "go-on" };
}

function outcome(decided, some) {
  if (decided === undefined) return { tag: "default" };
  if (decided instanceof Skip) return { tag: "skip", val: decided.reason };
  return some(decided);
}

function bytesOutcome(decided) {
  return outcome(decided, (some) => content(some));
}

function content(some) {
  if (some === undefined) return { tag: "default" };
  return some === null ? { tag: "null" } : { tag: "bytes", val: bytes(some) };
}

/** NaN would become the year 1970. */
function milliseconds(time) {
  const whole = Math.trunc(Number(time));
  if (!Number.isFinite(whole)) throw new TypeError(`the timestamp is no time: ${time}`);
  return whole;
}

function record({ topic, partition, key, value, timestamp, timestampMs, headers }) {
  const time = timestamp ?? timestampMs;
  return {
    topic: topic ?? null,
    partition: partition ?? null,
    key: key?.tag ? key : content(key),
    value: value?.tag ? value : content(value),
    timestampMs: time == null ? null : milliseconds(time),
    headers: headers?.map((header) => (Array.isArray(header) ? pair(header) : header)) ?? null,
  };
}

const pair = ([name, value]) => ({ name, value: value == null ? null : bytes(value) });

function bytes(some) {
  if (some instanceof Uint8Array) return some;
  return encode(typeof some === "object" ? JSON.stringify(some) : String(some));
}

// QuickJS has no TextEncoder and no TextDecoder.
export function encode(string) {
  const utf8 = unescape(encodeURIComponent(string));
  return Uint8Array.from(utf8, (character) => character.charCodeAt(0));
}

export function decode(bytes) {
  let utf8 = "";
  for (let at = 0; at < bytes.length; at += 8192) {
    utf8 += String.fromCharCode.apply(null, bytes.subarray(at, at + 8192));
  }
  try {
    return decodeURIComponent(escape(utf8));
  } catch {
    throw badMessage("the payload is not UTF-8 text");
  }
}
