"""What {{name}} decides about messages."""

import plugin_sdk as sdk
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
