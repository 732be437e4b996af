"""What {{name}} decides about messages."""

{{#deserializer}}
import struct

{{/deserializer}}
import plugin_sdk as sdk
{{#deserializer}}


@sdk.payload_deserializer
def deserialize(message):
    """Seven bytes: 1, seconds since the Unix epoch, tenths of a degree, big-endian. What is something
    else stays as it is."""
    if len(message.payload) != 7 or message.payload[0] != 1:
        return None
    seconds, tenths = struct.unpack(">Ih", message.payload[1:])
    return {"_timestamp": seconds * 1000, "celsius": tenths / 10}
{{/deserializer}}
{{#key}}


@sdk.key_setter
def key(message):
    return sdk.level(message, 1)  # plant/dev42/temp -> dev42
{{/key}}
{{#value}}


@sdk.value_setter
def value(message):
    """The payload as text, without blanks around it."""
    return sdk.text(message).strip()
{{/value}}
{{#timestamp}}


@sdk.timestamp_setter
def timestamp(message):
    """The member `time` of a JSON payload, in seconds since the Unix epoch."""
    try:
        return sdk.json(message)["time"] * 1000
    except (ValueError, KeyError, TypeError):
        return None
{{/timestamp}}
{{#transformer}}


@sdk.transformer
def lines(message, so_far):
    """A record for each line of text; none for an empty payload."""
    return [sdk.Record(value=line) for line in sdk.text(message).splitlines()]
{{/transformer}}
