/* Has every ability, and does what the payload says. */
#include "plugin.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static plugin_answer told(const plugin_message *message, plugin_answer answer) {
    plugin_log(PLUGIN_DEBUG, "told what to do");
    puts("told what to do");
    if (plugin_equal(message->payload, "null")) return plugin_null();
    if (plugin_equal(message->payload, "empty")) return plugin_bytes(plugin_str(""));
    if (plugin_equal(message->payload, "skip")) return plugin_skip("told to skip");
    if (plugin_equal(message->payload, "bad")) return plugin_bad_message("told to be bad: ü");
    if (plugin_equal(message->payload, "fatal")) return plugin_fatal("told to end");
    if (plugin_equal(message->payload, "crash")) abort();
    return plugin_equal(message->payload, "answer") ? answer : plugin_default();
}

static bool begins_with_count(plugin_text text) {
    return text.size >= 5 && memcmp(text.at, "count", 5) == 0;
}

static plugin_answer key(const plugin_message *message) {
    static int calls;
    if (begins_with_count(message->payload)) {
        char *text = plugin_allocate(16);
        return plugin_bytes((plugin_text){text, (size_t)sprintf(text, "%d", ++calls)});
    }
    if (plugin_equal(message->payload, "time")) {
        char *text = plugin_allocate(24);
        return plugin_bytes((plugin_text){text, (size_t)sprintf(text, "%" PRId64, plugin_now_ms())});
    }
    return told(message, plugin_bytes(plugin_str("key")));
}
PLUGIN_KEY(key)

static plugin_answer timestamp(const plugin_message *message) {
    return told(message, plugin_time(5000000000));
}
PLUGIN_TIMESTAMP(timestamp)

static plugin_answer deserialize(const plugin_message *message) {
    return told(message, plugin_bytes(plugin_str("{\"_key\":\"ü\"}")));
}
PLUGIN_DESERIALIZER(deserialize)

#define TEXT(text) (int)(text).size, (text).at

static int maybe(char *to, const char *name, plugin_maybe_text text) {
    return text.there ? sprintf(to, " %s=%.*s", name, TEXT(text.value)) : 0;
}

static plugin_answer value(const plugin_message *m) {
    char *text = plugin_allocate(4096), *to = text;
    to += sprintf(to, "%.*s %.*s qos=%d retain=%d dup=%d id=%d at=%" PRId64, TEXT(m->topic),
                  TEXT(m->payload), m->qos, m->retain, m->dup, m->packet_id.value,
                  m->received_at_ms);
    if (m->properties.there) {
        const plugin_properties *p = &m->properties.value;
        if (p->payload_format.there) to += sprintf(to, " format=%d", p->payload_format.value);
        if (p->message_expiry_secs.there)
            to += sprintf(to, " expiry=%" PRIu32, p->message_expiry_secs.value);
        to += maybe(to, "type", p->content_type);
        to += maybe(to, "response", p->response_topic);
        to += maybe(to, "correlation", p->correlation_data);
        for (size_t i = 0; i < p->user_property_count; i++)
            to += sprintf(to, " %.*s=%.*s", TEXT(p->user_properties[i].name),
                          TEXT(p->user_properties[i].value));
    }
    to += maybe(to, "json", m->json);
    return plugin_bytes((plugin_text){text, (size_t)(to - text)});
}
PLUGIN_VALUE(value)

static plugin_answer transform(const plugin_message *message, const plugin_record *so_far) {
    if (plugin_equal(message->payload, "none")) return plugin_records(NULL, 0);
    plugin_record *records = plugin_new_records(2);
    plugin_header *headers = plugin_allocate(2 * sizeof(plugin_header));
    headers[0] = (plugin_header){plugin_str("a"), {1, plugin_str("1")}};
    headers[1] = (plugin_header){plugin_str("b"), {0}};
    records[0] = (plugin_record){
        .topic = {1, plugin_str("alarms")},
        .partition = {1, 3},
        .key = plugin_content_of(plugin_str("k")),
        .value = {1, {0}},
        .timestamp_ms = {1, 5000000000},
        .headers = {1, headers, 2},
    };
    records[1] = *so_far;
    records[1].value = plugin_content_of(plugin_str("v"));
    return told(message, plugin_records(records, 2));
}
PLUGIN_TRANSFORMER(transform)

static const char *hook(const plugin_connection *c, const char *what) {
    if (plugin_equal(c->client_id, "crash")) abort();
    if (!plugin_equal(c->client_id, "stop")) return NULL;
    char *text = plugin_allocate(4096);
    sprintf(text, "%s %.*s attempt=%" PRIu32 " reconnect=%d session=%d late=%d", what,
            TEXT(c->server), c->attempt, c->reconnect, c->session_present,
            c->at_ms > 1700000000000);
    return text;
}

static const char *connected(const plugin_connection *connection) {
    return hook(connection, "connected");
}
PLUGIN_CONNECT_SUCCESS(connected)

static const char *failed(const plugin_connection *connection, const plugin_failure *f) {
    char *what = plugin_allocate(4096);
    sprintf(what, "%.*s permanent=%d lost=%d", TEXT(f->reason), f->permanent, f->lost);
    return hook(connection, what);
}
PLUGIN_CONNECT_FAILURE(failed)
