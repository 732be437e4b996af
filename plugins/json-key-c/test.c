/* The plugin as an ordinary program: `make test`. */
#include "key.c"

#include <assert.h>
#include <stdio.h>

static plugin_answer key_of(const char *payload) {
    plugin_message message = plugin_test_message("plant/dev42/temp", payload);
    return key(&message);
}

int main(void) {
    assert(init(plugin_str("{}")) != NULL);
    assert(init(plugin_str("{\"pointer\": \"device.id\"}")) != NULL);
    assert(init(plugin_str("{\"pointer\": \"/device/id\"}")) == NULL);

    assert(plugin_equal(key_of("{\"device\": {\"id\": \"dev42\"}}").text, "dev42"));
    assert(plugin_equal(key_of("{\"device\": {\"id\": [7, {}]}}").text, "[7, {}]"));
    assert(plugin_equal(key_of("{\"device\": {\"id\": \"\\u00fc\\ud83d\\ude00\\n\"}}").text, "\u00fc\U0001f600\n"));
    assert(key_of("{\"device\": {\"id\": null}}").kind == PLUGIN_NULL);
    assert(key_of("{\"device\": {}}").kind == PLUGIN_DEFAULT);
    assert(key_of("{\"device\": {\"id\": \"dev42\"}").kind == PLUGIN_DEFAULT);
    assert(key_of("").kind == PLUGIN_DEFAULT);
    puts("passed");
}
