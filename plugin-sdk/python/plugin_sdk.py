"""Write a plugin for `host` in Python: functions, and decorators that say what they decide.

    from plugin_sdk import key_setter, level

    @key_setter
    def key(message):
        return level(message, 1)  # plant/dev42/temp -> dev42

A decorated function stays an ordinary function, so it can be called in a test. A message has the fields of the
contract (plugin.wit): topic, payload (bytes), qos, retain, dup, packet_id, received_at_ms,
properties, json. `BadMessage` and every `ValueError`, as of `json`, `int` and `bytes.decode`, make the
message a bad one, with their text. Any other exception (TypeError, KeyError, ...) is a failure of the
plugin. docs/plugin-languages.md of `host` says more.
"""

import json as _json
import time as _time
from dataclasses import dataclass
from types import SimpleNamespace

try:  # there when a plugin is built; not in a test
    from componentize_py_types import Err
    from wit_world.imports import types
except ImportError:
    types = None

try:  # there if the plugin's world imports it; no module can be found any more when a plugin runs
    from wit_world.imports import clock as _clock
except ImportError:
    _clock = None

#: No key, or a tombstone. `None` means the default.
NULL = object()


@dataclass
class Skip:
    """No record of this message, for this reason: `return Skip("too old")`."""

    reason: str


@dataclass
class Stop:
    """`host` ends, after what it has taken is in Kafka, for this reason: `return Stop("no session")`."""

    reason: str


class BadMessage(Exception):
    """This message is bad, and goes to the dead-letter topic: `raise BadMessage("no device")`."""


class Fatal(Exception):
    """The plugin cannot work at all, so messages wait for another one: `raise Fatal("no table")`."""


@dataclass
class Record:
    """A Kafka record in the making. What is `None` is as it came. Headers are pairs of a name and a
    value, `None` for a null, and are all that the record has."""

    topic: str | None = None
    partition: int | None = None
    key: object = None
    value: object = None
    timestamp_ms: int | None = None
    headers: list | None = None


# What a plugin decides.


def key_setter(decide):
    """Decides the key: text, bytes, NULL for no key, None for the default."""
    return _export("KeySetter", "key", decide, _bytes_outcome)


def value_setter(decide):
    """Decides the value: text, bytes, NULL for a tombstone, None for the default."""
    return _export("ValueSetter", "value", decide, _bytes_outcome)


def timestamp_setter(decide):
    """Decides the timestamp: milliseconds since the Unix epoch; None for the default."""
    return _export("TimestampSetter", "timestamp", decide, _time_outcome)


def payload_deserializer(decide):
    """Makes JSON of the payload: whatever JSON can say; None leaves the payload as it is."""
    return _export("PayloadDeserializer", "deserialize", decide, _json_outcome)


def transformer(decide):
    """Makes any number of records of one: True or None leaves it, False drops it; or a Record, or a
    list of them. It gets the message and the record so far."""
    return _export("Transformer", "transform", decide, _transform_outcome)


def init(start):
    """Takes the configuration, a dictionary. An exception says what is wrong with it."""

    def called(self, config):
        try:
            start(_json.loads(config))
        except Exception as error:
            raise Err(str(error))

    return _class("Lifecycle", "init", start, called)


def on_client_connect_success(told):
    """Is called after each time that the MQTT server has accepted the connection and the subscription,
    with server, client_id, attempt, reconnect, session_present and at_ms. None goes on, Stop(reason)
    ends `host`. An exception is logged, and means going on."""
    return _hook("ConnectSuccessHook", "on_client_connect_success", told)


def on_client_connect_failure(told):
    """Is called after each attempt to connect that failed, and after each connection that was lost, with
    the same and a second argument: reason, permanent, lost."""
    return _hook("ConnectFailureHook", "on_client_connect_failure", told)


# Help with messages.


def text(message):
    """The payload as text."""
    return message.payload.decode()


def json(message):
    """What a payload deserializer made of the payload, or else the payload, as a value."""
    text = message.payload if message.json is None else message.json
    return _json.loads(text, parse_constant=_no_json)


def level(message, number):
    """A level of the topic, counted from 0; None if it has fewer."""
    levels = message.topic.split("/")
    return levels[number] if number < len(levels) else None


def log(line, level="info"):
    """Writes a line to the log of `host`."""
    if types is None:
        print(level.upper(), line)
    else:
        from wit_world.imports import host

        host.log(host.Level[level.upper()], "plugin", line)


def now_ms():
    """The time, in milliseconds since the Unix epoch, as `time.time()` in a test; in a plugin that is a
    trap. The world has to `import clock;`, and the user has to allow it (`clock = true` beside the
    plugin's file, or --plugin-clock); otherwise the call spoils the message. When cases are tested, it
    is when the message arrived."""
    if types is None:
        return _time.time_ns() // 1_000_000
    if _clock is None:
        raise RuntimeError("the plugin has no clock: add `import clock;` to its world")
    return _clock.now_ms()


def make_message(topic, payload, **more):
    """A message to test with."""
    fields = {
        "qos": 1, "retain": False, "dup": False, "packet_id": 1, "received_at_ms": 0,
        "properties": None, "json": None,
    }
    payload = payload.encode() if isinstance(payload, str) else payload
    return SimpleNamespace(topic=topic, payload=payload, **(fields | more))


def make_connection(server, client_id, **more):
    """A connection to test hooks with."""
    fields = {"attempt": 1, "reconnect": False, "session_present": False, "at_ms": 0}
    return SimpleNamespace(server=server, client_id=client_id, **(fields | more))


def make_failure(reason, permanent=False, lost=False):
    """A failure to test hooks with."""
    return SimpleNamespace(reason=reason, permanent=permanent, lost=lost)


def _no_json(constant):
    raise ValueError(f"{constant} is not JSON")


# How the contract wants it: a class with one method, where the module of the function is.


def _export(name, method, decide, outcome):
    def called(self, *arguments):
        try:
            decided = decide(*arguments)
        except Fatal as error:
            raise Err(types.PluginError_Fatal(str(error)))
        except (BadMessage, ValueError) as error:
            raise Err(types.PluginError_BadMessage(str(error) or type(error).__name__))
        except BaseException as error:  # sys.exit as well
            _fail(error)
        try:
            return outcome(decided)
        except BadMessage as error:
            raise Err(types.PluginError_BadMessage(str(error)))
        except BaseException as error:  # the answer is none that could be given
            _fail(error)

    return _class(name, method, decide, called)


def _fail(error):
    """The plugin has a bug: says which, and traps."""
    at = error.__traceback__
    while at.tb_next:
        at = at.tb_next
    place = f"{at.tb_frame.f_code.co_filename.rpartition('/')[2]}:{at.tb_lineno}"
    from wit_world.imports import host

    text = f"{type(error).__name__}: {error} ({place})"
    host.log(host.Level.ERROR, "panic", text)
    # What is no `Err` is a trap.
    raise RuntimeError(text)


def _hook(name, method, told):
    def called(self, *arguments):
        try:
            decided = told(*arguments)
        except BaseException as error:  # sys.exit as well: a trap would hide what went wrong
            text = str(error) or type(error).__name__
            log(f"{method} failed; going on without it: {text}", "error")
            decided = None
        if isinstance(decided, Stop):
            return types.HookOutcome_Stop(decided.reason)
        return types.HookOutcome_GoOn()

    return _class(name, method, told, called)


def _class(name, method, function, called):
    function.__globals__[name] = type(name, (), {method: called})
    return function


def _bytes_outcome(decided):
    if decided is None:
        return types.BytesOutcome_Default()
    if decided is NULL:
        return types.BytesOutcome_Null()
    if isinstance(decided, Skip):
        return types.BytesOutcome_Skip(decided.reason)
    return types.BytesOutcome_Bytes(_bytes(decided))


def _time_outcome(decided):
    if decided is None:
        return types.TimeOutcome_Default()
    if isinstance(decided, Skip):
        return types.TimeOutcome_Skip(decided.reason)
    try:
        return types.TimeOutcome_EpochMs(int(decided))
    except ValueError:  # such as text of the message
        raise BadMessage(f"{decided!r} is no time in milliseconds") from None


def _json_outcome(decided):
    if decided is None:
        return types.JsonOutcome_Default()
    if isinstance(decided, Skip):
        return types.JsonOutcome_Skip(decided.reason)
    return types.JsonOutcome_Json(_dumps(decided))


def _transform_outcome(decided):
    if decided is None or decided is True:
        return types.TransformOutcome_Default()
    if isinstance(decided, Skip):
        return types.TransformOutcome_Skip(decided.reason)
    records = [decided] if isinstance(decided, Record) else decided or []
    return types.TransformOutcome_Records([_record(record) for record in records])


def _record(record):
    headers = record.headers and [
        types.Header(name, None if value is None else _bytes(value)) for name, value in record.headers
    ]
    return types.KafkaRecord(
        record.topic, record.partition, _content(record.key), _content(record.value),
        record.timestamp_ms, headers,
    )


def _content(decided):
    if decided is None:
        return types.Content_Default()
    if decided is NULL:
        return types.Content_Null()
    return types.Content_Bytes(_bytes(decided))


def _bytes(decided):
    if isinstance(decided, (bytes, bytearray)):
        return bytes(decided)
    if isinstance(decided, str):
        return decided.encode()
    return _dumps(decided).encode()


def _dumps(value):
    return _json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
