// The record's key is a part of a JSON payload, which the configuration points to (RFC 6901): with
// {"pointer": "/device/id"}, the payload {"device": {"id": "dev42"}} gets the key dev42.
import { json, keySetter as key, lifecycle as init } from "./plugin.js";

let steps = ["_key"];

export function start({ pointer }) {
  if (!pointer?.startsWith?.("/")) throw new Error("`pointer` begins with a slash, as in /device/id");
  steps = pointer.split("/").slice(1);
  steps = steps.map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"));
}

// Without such a part the key is the default. What is no text becomes its JSON.
export function part(message) {
  let found;
  try {
    found = json(message);
  } catch {
    return undefined;
  }
  for (const step of steps) {
    found = found && typeof found === "object" && Object.hasOwn(found, step) ? found[step] : undefined;
  }
  return found;
}

export const lifecycle = init(start);
export const keySetter = key(part);
