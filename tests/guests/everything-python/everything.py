"""Has every ability, and does what the payload says."""

import plugin_sdk as sdk

calls = 0


def told(message, answer):
    sdk.log("told what to do", "debug")
    match sdk.text(message):
        case "answer":
            return answer
        case "null":
            return sdk.NULL
        case "empty":
            return ""
        case "skip":
            return sdk.Skip("told to skip")
        case "bad":
            raise ValueError("told to be bad: ü")
        case "fatal":
            raise sdk.Fatal("told to end")
        case "time":
            return str(sdk.now_ms())
        case "crash":
            raise SystemExit("crashed: ü")
        case "bug":
            return {}["missing"]
        case "soon":
            return "soon"


@sdk.key_setter
def key(message):
    global calls
    if sdk.text(message).startswith("count"):
        calls += 1
        return str(calls)
    return told(message, "key")


@sdk.timestamp_setter
def timestamp(message):
    return told(message, 5_000_000_000)


@sdk.payload_deserializer
def deserialize(message):
    return told(message, {"_key": "ü"})


@sdk.value_setter
def value(message):
    seen = f"{message.topic} {sdk.text(message)} qos={message.qos.value}"
    seen += f" retain={message.retain:d} dup={message.dup:d} id={message.packet_id or 0}"
    pairs = [("at", message.received_at_ms)]
    if (properties := message.properties) is not None:
        correlation = properties.correlation_data
        pairs += [
            ("format", properties.payload_format),
            ("expiry", properties.message_expiry_secs),
            ("type", properties.content_type),
            ("response", properties.response_topic),
            ("correlation", correlation and correlation.decode()),
            *properties.user_properties,
        ]
    pairs.append(("json", message.json))
    return seen + "".join(f" {name}={value}" for name, value in pairs if value is not None)


@sdk.transformer
def transform(message, so_far):
    if sdk.text(message) == "none":
        return []
    if sdk.text(message) == "no pair":
        return sdk.Record(headers=[("alone",)])
    whole = sdk.Record(
        "alarms", 3, "k", sdk.NULL, 5_000_000_000, [("a", "1"), ("b", None)]
    )
    return told(message, [whole, sdk.Record(value="v")])


def hook(connection, what):
    match connection.client_id:
        case "crash":
            raise SystemExit("crashed: ü")
        case "stop":
            told = f"{what} {connection.server} attempt={connection.attempt}"
            told += f" reconnect={connection.reconnect:d} session={connection.session_present:d}"
            return sdk.Stop(f"{told} late={connection.at_ms > 1_700_000_000_000:d}")


@sdk.on_client_connect_success
def connected(connection):
    return hook(connection, "connected")


@sdk.on_client_connect_failure
def failed(connection, failure):
    return hook(connection, f"{failure.reason} permanent={failure.permanent:d} lost={failure.lost:d}")
