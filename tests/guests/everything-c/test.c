/* The guest as an ordinary program: `make test`. */
#include "everything.c"

#include <assert.h>

int main(void) {
    plugin_message message = plugin_test_message("t", "time");
    assert(strtoll(key(&message).text.at, NULL, 10) > 1700000000000);
    plugin_test_now_ms(7);
    assert(plugin_equal(key(&message).text, "7"));

    plugin_connection connection = {plugin_str("broker:1883"), plugin_str("plant-1"), .attempt = 1};
    plugin_failure failure = {plugin_str("refused"), .lost = true};
    assert(!connected(&connection) && !failed(&connection, &failure));
    connection.client_id = plugin_str("stop");
    assert(strstr(failed(&connection, &failure), "refused permanent=0 lost=1 broker:1883"));
    puts("passed");
}
