"""The record's key is a part of a JSON payload, which the configuration points to (RFC 6901): with
{"pointer": "/device/id"}, the payload {"device": {"id": "dev42"}} gets the key dev42."""

from plugin_sdk import NULL, init, json, key_setter

steps = ["_key"]


@init
def start(config):
    pointer = config.get("pointer")
    if not isinstance(pointer, str) or not pointer.startswith("/"):
        raise ValueError("`pointer` begins with a slash, as in /device/id")
    steps[:] = [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]


@key_setter
def key(message):
    """Without such a part the key is the default. What is no text becomes its JSON."""
    try:
        found = json(message)
        for step in steps:
            found = found[int(step) if isinstance(found, list) else step]
    except (ValueError, LookupError, TypeError):
        return None
    return NULL if found is None else found
