/* What {{name}} decides about messages. */
#include "sdk/plugin.h"
{{#deserializer}}

#include <stdio.h>
{{/deserializer}}
{{#transformer}}

#include <string.h>
{{/transformer}}
{{#deserializer}}

/* Seven bytes: 1, seconds since the Unix epoch, tenths of a degree, big-endian. What is something else
 * stays as it is. */
static plugin_answer deserialize(const plugin_message *message) {
    const uint8_t *at = (const uint8_t *)message->payload.at;
    if (message->payload.size != 7 || at[0] != 1) return plugin_default();
    uint32_t seconds = (uint32_t)at[1] << 24 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 8 | at[4];
    int16_t tenths = (int16_t)(at[5] << 8 | at[6]);
    char *json = plugin_allocate(64);
    snprintf(json, 64, "{\"_timestamp\":%lld,\"celsius\":%.1f}", seconds * 1000LL, tenths / 10.0);
    return plugin_bytes(plugin_str(json));
}
PLUGIN_DESERIALIZER(deserialize)
{{/deserializer}}
{{#key}}

/* plant/dev42/temp -> dev42 */
static plugin_answer key(const plugin_message *message) {
    return plugin_bytes(plugin_level(message, 1));
}
PLUGIN_KEY(key)
{{/key}}
{{#value}}

/* The payload without blanks around it. */
static plugin_answer value(const plugin_message *message) {
    plugin_text text = message->payload;
    while (text.size && *text.at == ' ') text.at++, text.size--;
    while (text.size && text.at[text.size - 1] == ' ') text.size--;
    return plugin_bytes(text);
}
PLUGIN_VALUE(value)
{{/value}}
{{#timestamp}}

/* The member `time` of a JSON payload, in seconds since the Unix epoch. */
static plugin_answer timestamp(const plugin_message *message) {
    plugin_maybe_i64 time = plugin_json_integer(plugin_json_at(plugin_json(message), "/time"));
    return time.there ? plugin_time(time.value * 1000) : plugin_default();
}
PLUGIN_TIMESTAMP(timestamp)
{{/timestamp}}
{{#transformer}}

/* A record for each line; none for an empty payload. */
static plugin_answer lines(const plugin_message *message, const plugin_record *so_far) {
    (void)so_far;
    const char *at = message->payload.at, *end = at + message->payload.size;
    size_t most = 1, count = 0;
    for (const char *in = at; in < end; in++) most += *in == '\n';
    plugin_record *records = plugin_new_records(most);
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *stop = newline ? newline : end;
        records[count++].value = plugin_content_of((plugin_text){at, (size_t)(stop - at)});
        at = stop + 1;
    }
    return plugin_records(records, count);
}
PLUGIN_TRANSFORMER(lines)
{{/transformer}}
