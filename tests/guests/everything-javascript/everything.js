// Has every ability, and does what the payload says.
import * as sdk from "./plugin.js";

const told = (message, answer) => {
  sdk.log("told what to do", "debug");
  switch (sdk.text(message)) {
    case "answer":
      return answer;
    case "null":
      return null;
    case "empty":
      return "";
    case "skip":
      return sdk.skip("told to skip");
    case "bad":
      throw sdk.badMessage("told to be bad: ü");
    case "fatal":
      throw sdk.fatal("told to end");
    case "time":
      return sdk.nowMs();
    case "crash":
      throw "crashed: ü";
    case "bug":
      return message.missing.more;
  }
};

let calls = 0;

export const keySetter = sdk.keySetter((message) =>
  sdk.text(message).startsWith("count") ? ++calls : told(message, "key"),
);
export const timestampSetter = sdk.timestampSetter((message) => told(message, 5_000_000_000));
export const payloadDeserializer = sdk.payloadDeserializer((message) => told(message, { _key: "ü" }));

const QOS = ["at-most-once", "at-least-once", "exactly-once"];

export const valueSetter = sdk.valueSetter((message) => {
  const { topic, qos, retain, dup, packetId, receivedAtMs, properties, json } = message;
  let seen = `${topic} ${sdk.text(message)} qos=${QOS.indexOf(qos)} retain=${+retain} dup=${+dup}`;
  seen += ` id=${packetId ?? 0} at=${receivedAtMs}`;
  const say = (name, value) => (seen += value == null ? "" : ` ${name}=${value}`);
  if (properties) {
    const { payloadFormat, messageExpirySecs, contentType, responseTopic, correlationData } = properties;
    say("format", payloadFormat);
    say("expiry", messageExpirySecs);
    say("type", contentType);
    say("response", responseTopic);
    say("correlation", correlationData && sdk.decode(correlationData));
    for (const [name, value] of properties.userProperties) say(name, value);
  }
  say("json", json);
  return seen;
});

export const transformer = sdk.transformer((message, soFar) => {
  if (sdk.text(message) === "none") return false;
  return told(message, [
    {
      topic: "alarms",
      partition: 3,
      key: "k",
      value: null,
      timestamp: 5_000_000_000,
      headers: [["a", "1"], ["b", null]],
    },
    { ...soFar, value: "v" },
  ]);
});

const hook = (connection, what) => {
  const { server, clientId, attempt, reconnect, sessionPresent, atMs } = connection;
  if (clientId === "crash") throw new Error("crashed: ü");
  if (clientId !== "stop") return undefined;
  const late = atMs > 1_700_000_000_000;
  return sdk.stop(
    `${what} ${server} attempt=${attempt} reconnect=${+reconnect} session=${+sessionPresent} late=${+late}`,
  );
};

export const connected = (connection) => hook(connection, "connected");
export const connectSuccessHook = sdk.connectSuccessHook(connected);

export const failed = (connection, { reason, permanent, lost }) =>
  hook(connection, `${reason} permanent=${+permanent} lost=${+lost}`);
export const connectFailureHook = sdk.connectFailureHook(failed);
