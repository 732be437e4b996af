// What {{name}} decides about messages.
import * as sdk from "./plugin.js";
{{#deserializer}}

// Seven bytes: 1, seconds since the Unix epoch, tenths of a degree, big-endian. What is something else
// stays as it is.
export const deserialize = ({ payload }) => {
  if (payload.length !== 7 || payload[0] !== 1) return undefined;
  const frame = new DataView(payload.buffer, payload.byteOffset);
  return { _timestamp: frame.getUint32(1) * 1000, celsius: frame.getInt16(5) / 10 };
};
export const payloadDeserializer = sdk.payloadDeserializer(deserialize);
{{/deserializer}}
{{#key}}

// plant/dev42/temp -> dev42
export const key = (message) => sdk.level(message, 1);
export const keySetter = sdk.keySetter(key);
{{/key}}
{{#value}}

// The payload as text, without blanks around it.
export const value = (message) => sdk.text(message).trim();
export const valueSetter = sdk.valueSetter(value);
{{/value}}
{{#timestamp}}

// The member `time` of a JSON payload, in seconds since the Unix epoch.
export const timestamp = (message) => {
  try {
    const { time } = sdk.json(message);
    return typeof time === "number" ? new Date(time * 1000) : undefined;
  } catch {
    return undefined;
  }
};
export const timestampSetter = sdk.timestampSetter(timestamp);
{{/timestamp}}
{{#transformer}}

// A record for each line of text; none for an empty payload.
export const lines = (message) =>
  sdk.text(message).split("\n").filter(Boolean).map((line) => ({ value: line }));
export const transformer = sdk.transformer(lines);
{{/transformer}}
