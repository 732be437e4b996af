/* Finding a part of a JSON text (RFC 8259) by a pointer (RFC 6901), without building a tree. */
#include "plugin.h"

#include <string.h>

typedef struct {
    const char *at, *end;
} cursor;

static const int deepest = 128;

static void space(cursor *c) {
    while (c->at < c->end && *c->at && strchr(" \t\n\r", *c->at)) c->at++;
}

static bool take(cursor *c, char wanted) {
    space(c);
    if (c->at == c->end || *c->at != wanted) return false;
    c->at++;
    return true;
}

static bool digits(cursor *c) {
    const char *from = c->at;
    while (c->at < c->end && *c->at >= '0' && *c->at <= '9') c->at++;
    return c->at > from;
}

static bool number(cursor *c) {
    if (c->at < c->end && *c->at == '-') c->at++;
    if (c->at < c->end && *c->at == '0') c->at++;
    else if (!digits(c)) return false;
    if (c->at < c->end && *c->at == '.') {
        c->at++;
        if (!digits(c)) return false;
    }
    if (c->at < c->end && (*c->at == 'e' || *c->at == 'E')) {
        c->at++;
        if (c->at < c->end && (*c->at == '+' || *c->at == '-')) c->at++;
        if (!digits(c)) return false;
    }
    return true;
}

static int hex(const char *at) { /* four digits, or -1 */
    int value = 0;
    for (int i = 0; i < 4; i++) {
        char d = at[i];
        int digit = d >= '0' && d <= '9'   ? d - '0'
                    : d >= 'a' && d <= 'f' ? d - 'a' + 10
                    : d >= 'A' && d <= 'F' ? d - 'A' + 10
                                           : -1;
        if (digit < 0) return -1;
        value = value * 16 + digit;
    }
    return value;
}

/* What is between the quotes, escapes and all. */
static bool string(cursor *c, plugin_text *inside) {
    if (!take(c, '"')) return false;
    const char *from = c->at;
    for (; c->at < c->end; c->at++) {
        unsigned char byte = (unsigned char)*c->at;
        if (byte == '"') {
            *inside = (plugin_text){from, (size_t)(c->at++ - from)};
            return true;
        }
        if (byte < 0x20) return false;
        if (byte != '\\') continue;
        if (++c->at == c->end || !*c->at || !strchr("\"\\/bfnrtu", *c->at)) return false;
        if (*c->at == 'u') {
            if (c->end - c->at < 5 || hex(c->at + 1) < 0) return false;
            c->at += 4;
        }
    }
    return false;
}

static char *utf8(char *to, uint32_t code) {
    if (code < 0x80) {
        *to++ = (char)code;
    } else if (code < 0x800) {
        *to++ = (char)(0xc0 | code >> 6);
        *to++ = (char)(0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
        *to++ = (char)(0xe0 | code >> 12);
        *to++ = (char)(0x80 | (code >> 6 & 0x3f));
        *to++ = (char)(0x80 | (code & 0x3f));
    } else {
        *to++ = (char)(0xf0 | code >> 18);
        *to++ = (char)(0x80 | (code >> 12 & 0x3f));
        *to++ = (char)(0x80 | (code >> 6 & 0x3f));
        *to++ = (char)(0x80 | (code & 0x3f));
    }
    return to;
}

/* The code of `\uXXXX` whose digits are at `*at`, with that of its other half if it has one. Half a
 * character is U+FFFD. */
static uint32_t escaped(const char **at, const char *end) {
    uint32_t code = (uint32_t)hex(*at);
    *at += 4;
    if (code < 0xd800 || code > 0xdfff) return code;
    if (code < 0xdc00 && end - *at >= 6 && (*at)[0] == '\\' && (*at)[1] == 'u') {
        uint32_t low = (uint32_t)hex(*at + 2);
        if (low >= 0xdc00 && low <= 0xdfff) {
            *at += 6;
            return 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        }
    }
    return 0xfffd;
}

/* No longer than with its escapes. */
static plugin_text unescaped(plugin_text inside) {
    if (!inside.size || !memchr(inside.at, '\\', inside.size)) return inside;
    char *text = plugin_allocate(inside.size), *to = text;
    const char *at = inside.at, *end = at + inside.size;
    while (at < end) {
        if (*at != '\\') {
            *to++ = *at++;
            continue;
        }
        char kind = at[1];
        at += 2;
        switch (kind) {
        case 'b': *to++ = '\b'; break;
        case 'f': *to++ = '\f'; break;
        case 'n': *to++ = '\n'; break;
        case 'r': *to++ = '\r'; break;
        case 't': *to++ = '\t'; break;
        case 'u': to = utf8(to, escaped(&at, end)); break;
        default: *to++ = kind;
        }
    }
    return (plugin_text){text, (size_t)(to - text)};
}

/* Whether a member's name or an element's index is the next part of a pointer. */
static bool is_part(plugin_text name, plugin_text part) {
    size_t i = 0;
    for (size_t p = 0; p < part.size; p++, i++) {
        char wanted = part.at[p];
        if (wanted == '~' && p + 1 < part.size) wanted = part.at[++p] == '0' ? '~' : '/';
        if (i == name.size || name.at[i] != wanted) return false;
    }
    return i == name.size;
}

static plugin_text decimal(char buffer[20], size_t number) {
    char *at = buffer + 20;
    do *--at = (char)('0' + number % 10);
    while (number /= 10);
    return (plugin_text){at, (size_t)(buffer + 20 - at)};
}

/* Passes one value, and finds what `pointer` leads to in it: all of it if the pointer is empty,
 * nothing if it is NULL. */
static bool value(cursor *c, const char *pointer, int depth, plugin_text *found) {
    space(c);
    const char *from = c->at;
    plugin_text part = {0}, inside;
    const char *rest = NULL;
    if (pointer && *pointer == '/') {
        part = (plugin_text){pointer + 1, strcspn(pointer + 1, "/")};
        rest = part.at + part.size;
    }
    if (c->at == c->end || depth > deepest) return false;
    if (*c->at == '"') {
        if (!string(c, &inside)) return false;
    } else if (*c->at == '{' || *c->at == '[') {
        bool object = *c->at++ == '{';
        char close = object ? '}' : ']', buffer[20];
        size_t index = 0;
        if (!take(c, close)) {
            do {
                plugin_text name = decimal(buffer, index++);
                if (object && (!string(c, &inside) || !take(c, ':'))) return false;
                if (object) name = unescaped(inside);
                bool here = rest && is_part(name, part);
                if (here) *found = (plugin_text){0}; /* the last of several counts */
                if (!value(c, here ? rest : NULL, depth + 1, found)) return false;
            } while (take(c, ','));
            if (!take(c, close)) return false;
        }
    } else if (c->end - c->at >= 4 && (!memcmp(c->at, "true", 4) || !memcmp(c->at, "null", 4))) {
        c->at += 4;
    } else if (c->end - c->at >= 5 && !memcmp(c->at, "false", 5)) {
        c->at += 5;
    } else if (!number(c)) {
        return false;
    }
    if (pointer && !*pointer) *found = (plugin_text){from, (size_t)(c->at - from)};
    return true;
}

plugin_text plugin_json_at(plugin_text json, const char *pointer) {
    if (!json.at) return json;
    cursor c = {json.at, json.at + json.size};
    plugin_text found = {0};
    if (!value(&c, pointer, 0, &found)) return (plugin_text){0};
    space(&c);
    return c.at == c.end ? found : (plugin_text){0};
}

plugin_text plugin_json_text(plugin_text json) {
    if (!json.size || *json.at != '"') return json;
    return unescaped((plugin_text){json.at + 1, json.size - 2});
}

plugin_maybe_i64 plugin_json_integer(plugin_text json) {
    plugin_maybe_i64 number = {0};
    bool negative = json.size && *json.at == '-';
    size_t at = negative;
    for (; at < json.size && json.at[at] >= '0' && json.at[at] <= '9' && at < 18u + negative; at++)
        number.value = number.value * 10 + (json.at[at] - '0');
    number.there = at == json.size && at > negative;
    if (negative) number.value = -number.value;
    return number;
}
