/* The record's key is a part of a JSON payload, which the configuration points to (RFC 6901): with
 * {"pointer": "/device/id"}, the payload {"device": {"id": "dev42"}} gets the key dev42. */
#include "plugin.h"

static const char *pointer = "/_key";

static const char *init(plugin_text config) {
    plugin_text given = plugin_json_text(plugin_json_at(config, "/pointer"));
    if (!given.at) return "`pointer` is missing, as in {\"pointer\": \"/device/id\"}";
    if (!given.size || *given.at != '/') return "`pointer` begins with a slash, as in /device/id";
    pointer = plugin_keep(given);
    return NULL;
}
PLUGIN_INIT(init)

/* Without such a part the key is the default. What is no text becomes its JSON. */
static plugin_answer key(const plugin_message *message) {
    plugin_text part = plugin_json_at(plugin_json(message), pointer);
    return plugin_equal(part, "null") ? plugin_null() : plugin_bytes(plugin_json_text(part));
}
PLUGIN_KEY(key)
