/* The plugin as a program of this machine: `make test`. */
#include "{{file}}.c"

#include <assert.h>
#include <stdio.h>

int main(void) {
    plugin_message message;
{{#deserializer}}
    message = plugin_test_message("t", "");
    message.payload = (plugin_text){"\1\0\0\0\5\xff\xfb", 7};
    assert(plugin_equal(deserialize(&message).text, "{\"_timestamp\":5000,\"celsius\":-0.5}"));
    message = plugin_test_message("t", "{}");
    assert(deserialize(&message).kind == PLUGIN_DEFAULT);
{{/deserializer}}
{{#key}}
    message = plugin_test_message("plant/dev42/temp", "21.5");
    assert(plugin_equal(key(&message).text, "dev42"));
{{/key}}
{{#value}}
    message = plugin_test_message("t", " 21.5 ");
    assert(plugin_equal(value(&message).text, "21.5"));
{{/value}}
{{#timestamp}}
    message = plugin_test_message("t", "{\"time\": 5}");
    assert(timestamp(&message).ms == 5000);
{{/timestamp}}
{{#transformer}}
    plugin_record as_it_came = {0};
    message = plugin_test_message("t", "a\nb");
    assert(lines(&message, &as_it_came).count == 2);
    message = plugin_test_message("t", "");
    assert(lines(&message, &as_it_came).count == 0);
{{/transformer}}
    puts("passed");
}
