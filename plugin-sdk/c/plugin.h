/* Write a plugin for `host` in C: a function, and a line that says what it decides.
 *
 *     #include "plugin.h"
 *
 *     static plugin_answer key(const plugin_message *message) {
 *         return plugin_bytes(plugin_level(message, 1));    // plant/dev42/temp -> dev42
 *     }
 *     PLUGIN_KEY(key)
 *
 * It is compiled together with plugin.c, for WebAssembly or, to test it, for this machine:
 *
 *     clang-14 --target=wasm32-wasi -mexec-model=reactor -O2 -Wl,--strip-debug key.c plugin.c -o key.wasm
 *
 * Whatever a message points to, and all that comes of these functions, is there until the answer
 * has been read, and frees itself then. Only what `malloc` gave is kept from one call to the next.
 *
 * Structures are laid out as the contract (plugin.wit) has them in memory, so nothing is copied.
 */
#ifndef PLUGIN_H
#define PLUGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Text (UTF-8) or bytes. Without a zero at the end. `at` is NULL for what is not there. */
typedef struct {
    const char *at;
    size_t size;
} plugin_text;

/* Something that may be absent. */
typedef struct { uint8_t there; uint8_t value; } plugin_maybe_u8;
typedef struct { uint8_t there; uint16_t value; } plugin_maybe_u16;
typedef struct { uint8_t there; uint32_t value; } plugin_maybe_u32;
typedef struct { uint8_t there; int64_t value; } plugin_maybe_i64;
typedef struct { uint8_t there; plugin_text value; } plugin_maybe_text;

typedef struct { plugin_text name, value; } plugin_user_property;

/* Properties of an MQTT 5 PUBLISH packet. */
typedef struct {
    plugin_maybe_u8 payload_format; /* 0 unspecified bytes, 1 UTF-8 text */
    plugin_maybe_u32 message_expiry_secs;
    plugin_maybe_text content_type;
    plugin_maybe_text response_topic;
    plugin_maybe_text correlation_data;
    const plugin_user_property *user_properties; /* in the order received */
    size_t user_property_count;
} plugin_properties;

/* An MQTT message as `host` received it. */
typedef struct {
    plugin_text topic;
    plugin_text payload;
    uint8_t qos;
    bool retain;
    bool dup;
    plugin_maybe_u16 packet_id; /* absent at QoS 0 */
    int64_t received_at_ms;     /* since the Unix epoch */
    struct { uint8_t there; plugin_properties value; } properties; /* absent before MQTT 5 */
    plugin_maybe_text json;     /* what a payload deserializer made of the payload */
} plugin_message;

/* What a plugin decided. Made by the functions below. */
typedef enum {
    PLUGIN_DEFAULT, PLUGIN_NULL, PLUGIN_BYTES, PLUGIN_SKIP, PLUGIN_BAD_MESSAGE, PLUGIN_FATAL,
    PLUGIN_TIME, PLUGIN_RECORDS
} plugin_kind;

typedef struct {
    plugin_kind kind;
    plugin_text text; /* bytes, or the reason */
    int64_t ms;
    const struct plugin_record *records;
    size_t count;
} plugin_answer;

/* As `host` does without this plugin. */
plugin_answer plugin_default(void);
/* No key, or a tombstone. */
plugin_answer plugin_null(void);
/* A key, a value, or a deserializer's JSON. The default if the text is not there. */
plugin_answer plugin_bytes(plugin_text text);
/* A timestamp: milliseconds since the Unix epoch, positive. */
plugin_answer plugin_time(int64_t milliseconds);
/* No record of this message, for this reason. */
plugin_answer plugin_skip(const char *reason);
/* This message is bad, and goes to the dead-letter topic. */
plugin_answer plugin_bad_message(const char *reason);
/* The plugin cannot work at all, so messages wait for another one. */
plugin_answer plugin_fatal(const char *reason);

/* Key or value of a record. All zero: as it came. */
typedef struct {
    uint8_t kind; /* 0 as it came, 1 null, 2 bytes */
    plugin_text bytes;
} plugin_content;

typedef struct {
    plugin_text name;
    plugin_maybe_text value; /* Kafka's null if absent */
} plugin_header;

/* A Kafka record in the making. What is absent is as it came. */
typedef struct plugin_record {
    plugin_maybe_text topic;
    plugin_maybe_u32 partition;
    plugin_content key;
    plugin_content value;
    plugin_maybe_i64 timestamp_ms;
    struct { uint8_t there; const plugin_header *at; size_t count; } headers;
} plugin_record;

/* So many records, all as they came. */
plugin_record *plugin_new_records(size_t count);
plugin_content plugin_content_of(plugin_text bytes);
/* A transformer's answer: these records, or none. */
plugin_answer plugin_records(const plugin_record *records, size_t count);

/* ---- What hooks learn of the connection to the MQTT server ---- */

typedef struct {
    plugin_text server; /* HOST:PORT */
    plugin_text client_id;
    uint32_t attempt;     /* since the last connection, counted from 1 */
    bool reconnect;       /* there has been a connection before */
    bool session_present; /* the server had kept the session; only of a connection that was made */
    int64_t at_ms;        /* when `host` noticed, since the Unix epoch */
} plugin_connection;

/* Why there is no connection. */
typedef struct {
    plugin_text reason;
    bool permanent; /* trying again with the same options cannot help */
    bool lost;      /* it had been in use; otherwise the attempt to make one failed */
} plugin_failure;

/* ---- Help with texts ---- */

/* Text of a string with a zero at its end. */
plugin_text plugin_str(const char *text);
bool plugin_equal(plugin_text text, const char *other);
/* A level of the topic, counted from 0; not there if it has fewer. */
plugin_text plugin_level(const plugin_message *message, unsigned level);
/* The JSON of a message: a deserializer's, or else the payload. */
plugin_text plugin_json(const plugin_message *message);
/* The part of a JSON text that a pointer such as "/device/id" (RFC 6901) leads to, as it stands
 * there; not there if there is none, or if the text is not JSON. */
plugin_text plugin_json_at(plugin_text json, const char *pointer);
/* What a JSON string says; any other JSON as it stands. */
plugin_text plugin_json_text(plugin_text json);
/* A JSON number that is whole and has at most 18 digits; absent for all else. */
plugin_maybe_i64 plugin_json_integer(plugin_text json);
/* A copy with a zero at its end that stays, for what `init` was told. */
char *plugin_keep(plugin_text text);
/* Memory until the answer has been read, all zero. */
void *plugin_allocate(size_t size);

typedef enum { PLUGIN_ERROR, PLUGIN_WARN, PLUGIN_INFO, PLUGIN_DEBUG, PLUGIN_TRACE } plugin_log_level;

/* A line in the log of `host`. What is printed gets there, too. */
void plugin_log(plugin_log_level level, const char *line);

/* The time, in milliseconds since the Unix epoch. The user has to allow it (`clock = true` beside the
 * plugin's file, or --plugin-clock); a trap otherwise. When cases are tested, it is when the message
 * arrived. */
int64_t plugin_now_ms(void);

/* ---- For tests on this machine ---- */

plugin_message plugin_test_message(const char *topic, const char *payload);
/* What plugin_now_ms says from now on; 0 for the clock of this machine. */
void plugin_test_now_ms(int64_t milliseconds);

/* ---- What the plugin decides: one line per function ---- */

#ifdef __wasm__
#define PLUGIN_EXPORT_(path) __attribute__((export_name("mqtt-source:plugin/" path)))
#define PLUGIN_DECIDES_(path, name, as, function)                                                  \
    PLUGIN_EXPORT_(path) const void *name(const plugin_message *message) {                         \
        return as(function(message));                                                              \
    }
#else /* nothing calls it, but it is used */
#define PLUGIN_DECIDES_(path, name, as, function) const void *name##_ = (const void *)(function);
#endif

/* plugin_answer function(const plugin_message *message) */
#define PLUGIN_KEY(function)                                                                       \
    PLUGIN_DECIDES_("key-setter@0.1.0#key", plugin_key_, plugin_as_bytes_, function)
#define PLUGIN_VALUE(function)                                                                     \
    PLUGIN_DECIDES_("value-setter@0.1.0#value", plugin_value_, plugin_as_bytes_, function)
#define PLUGIN_TIMESTAMP(function)                                                                 \
    PLUGIN_DECIDES_("timestamp-setter@0.1.0#timestamp", plugin_timestamp_, plugin_as_time_, function)
#define PLUGIN_DESERIALIZER(function)                                                              \
    PLUGIN_DECIDES_("payload-deserializer@0.1.0#deserialize", plugin_deserialize_, plugin_as_json_, \
                    function)

/* plugin_answer function(const plugin_message *message, const plugin_record *so_far) */
#ifdef __wasm__
#define PLUGIN_TRANSFORMER(function)                                                               \
    PLUGIN_EXPORT_("transformer@0.1.0#transform")                                                  \
    const void *plugin_transform_(const plugin_message *message) {                                 \
        return plugin_as_records_(function(message, (const plugin_record *)(message + 1)));        \
    }
#else
#define PLUGIN_TRANSFORMER(function) const void *plugin_transform__ = (const void *)(function);
#endif

/* const char *function(plugin_text config): NULL, or what is wrong with the JSON object */
#ifdef __wasm__
#define PLUGIN_INIT(function)                                                                      \
    PLUGIN_EXPORT_("lifecycle@0.1.0#init") const void *plugin_init_(const char *at, size_t size) { \
        return plugin_as_reason_(function((plugin_text){at, size}));                               \
    }
#else
#define PLUGIN_INIT(function) const void *plugin_init__ = (const void *)(function);
#endif

/* const char *function(const plugin_connection *connection): NULL to go on, or why `host` is to end
 * const char *function(const plugin_connection *connection, const plugin_failure *failure): the same
 * A trap is logged, and means going on. */
#ifdef __wasm__
#define PLUGIN_CONNECTION_                                                                         \
    const char *server, size_t server_size, const char *id, size_t id_size, uint32_t attempt,      \
        int reconnect, int session_present, int64_t at_ms
#define PLUGIN_THE_CONNECTION_                                                                     \
    &(plugin_connection){{server, server_size}, {id, id_size},   attempt,                          \
                         reconnect,             session_present, at_ms}
#define PLUGIN_CONNECT_SUCCESS(function)                                                           \
    PLUGIN_EXPORT_("connect-success-hook@0.1.0#on-client-connect-success")                         \
    const void *plugin_connect_success_(PLUGIN_CONNECTION_) {                                      \
        return plugin_as_reason_(function(PLUGIN_THE_CONNECTION_));                                \
    }
#define PLUGIN_CONNECT_FAILURE(function)                                                           \
    PLUGIN_EXPORT_("connect-failure-hook@0.1.0#on-client-connect-failure")                         \
    const void *plugin_connect_failure_(PLUGIN_CONNECTION_, const char *reason, size_t size,       \
                                        int permanent, int lost) {                                 \
        plugin_failure failure = {{reason, size}, permanent, lost};                                \
        return plugin_as_reason_(function(PLUGIN_THE_CONNECTION_, &failure));                      \
    }
#else
#define PLUGIN_CONNECT_SUCCESS(function)                                                           \
    const void *plugin_connect_success__ = (const void *)(function);
#define PLUGIN_CONNECT_FAILURE(function)                                                           \
    const void *plugin_connect_failure__ = (const void *)(function);
#endif

const void *plugin_as_bytes_(plugin_answer answer);
const void *plugin_as_time_(plugin_answer answer);
const void *plugin_as_json_(plugin_answer answer);
const void *plugin_as_records_(plugin_answer answer);
const void *plugin_as_reason_(const char *reason);

#ifdef __wasm__
_Static_assert(offsetof(plugin_message, packet_id) == 20, "layout of the contract");
_Static_assert(offsetof(plugin_message, received_at_ms) == 24, "layout of the contract");
_Static_assert(offsetof(plugin_message, properties.value) == 36, "layout of the contract");
_Static_assert(offsetof(plugin_message, json) == 92, "layout of the contract");
_Static_assert(sizeof(plugin_message) == 104, "layout of the contract");
_Static_assert(offsetof(plugin_record, timestamp_ms) == 48, "layout of the contract");
_Static_assert(sizeof(plugin_record) == 80 && sizeof(plugin_header) == 20, "layout of the contract");
#endif

#endif
