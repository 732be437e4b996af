/* What plugin.h promises: memory that frees itself, answers as the contract has them, logging, and the
 * time. */
#include "plugin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- Memory of a call: blocks in a list, freed as the next call begins ---- */

typedef struct block {
    struct block *next;
    uint64_t aligned; /* what follows is aligned for everything */
} block;

static block *blocks;
static bool answered;

void *plugin_allocate(size_t size) {
    if (answered) {
        answered = false;
        while (blocks) {
            block *next = blocks->next;
            free(blocks);
            blocks = next;
        }
    }
    block *new = calloc(1, sizeof(block) + size);
    if (!new) abort(); /* the host says that the memory limit was reached */
    new->next = blocks;
    blocks = new;
    return new + 1;
}

#ifdef __wasm__
/* Where the host puts messages. */
__attribute__((export_name("cabi_realloc"))) void *cabi_realloc(void *old, size_t old_size,
                                                               size_t align, size_t size) {
    (void)align;
    void *new = plugin_allocate(size);
    if (old) memcpy(new, old, old_size < size ? old_size : size);
    return new;
}
#endif

char *plugin_keep(plugin_text text) {
    char *kept = malloc(text.size + 1);
    if (!kept) abort();
    if (text.size) memcpy(kept, text.at, text.size);
    kept[text.size] = 0;
    return kept;
}

/* ---- Answers ---- */

plugin_answer plugin_default(void) { return (plugin_answer){.kind = PLUGIN_DEFAULT}; }
plugin_answer plugin_null(void) { return (plugin_answer){.kind = PLUGIN_NULL}; }

plugin_answer plugin_bytes(plugin_text text) {
    return text.at ? (plugin_answer){.kind = PLUGIN_BYTES, .text = text} : plugin_default();
}

plugin_answer plugin_time(int64_t milliseconds) {
    return (plugin_answer){.kind = PLUGIN_TIME, .ms = milliseconds};
}

plugin_answer plugin_records(const plugin_record *records, size_t count) {
    return (plugin_answer){.kind = PLUGIN_RECORDS, .records = records, .count = count};
}

plugin_answer plugin_skip(const char *reason) {
    return (plugin_answer){.kind = PLUGIN_SKIP, .text = plugin_str(reason)};
}

plugin_answer plugin_bad_message(const char *reason) {
    return (plugin_answer){.kind = PLUGIN_BAD_MESSAGE, .text = plugin_str(reason)};
}

plugin_answer plugin_fatal(const char *reason) {
    return (plugin_answer){.kind = PLUGIN_FATAL, .text = plugin_str(reason)};
}

plugin_record *plugin_new_records(size_t count) {
    return plugin_allocate(count * sizeof(plugin_record));
}

plugin_content plugin_content_of(plugin_text bytes) { return (plugin_content){2, bytes}; }

/* ---- Answers as the contract has them: `result<outcome, plugin-error>` ---- */

typedef struct {
    uint8_t failed;
    uint32_t kind;
    const void *at;
    size_t size;
} answer_abi;

/* `kinds` says which case of the outcome a kind of answer is, -1 that it is none. */
static const void *as(plugin_answer answer, const int8_t kinds[4], int8_t records) {
    static answer_abi abi;
    answered = true;
    abi = (answer_abi){0, 0, answer.text.at, answer.text.size};
    int8_t kind = answer.kind <= PLUGIN_SKIP ? kinds[answer.kind] : -1;
    if (answer.kind == PLUGIN_RECORDS) {
        kind = records;
        abi.at = answer.records;
        abi.size = answer.count;
    }
    if (kind >= 0) {
        abi.kind = (uint32_t)kind;
    } else if (answer.kind == PLUGIN_BAD_MESSAGE || answer.kind == PLUGIN_FATAL) {
        abi.failed = 1;
        abi.kind = answer.kind == PLUGIN_FATAL;
    } else {
        return as(plugin_fatal("this function cannot give such an answer"), kinds, records);
    }
    return &abi;
}

const void *plugin_as_bytes_(plugin_answer answer) {
    return as(answer, (const int8_t[]){0, 1, 2, 3}, -1);
}

const void *plugin_as_json_(plugin_answer answer) {
    return as(answer, (const int8_t[]){0, -1, 1, 2}, -1);
}

const void *plugin_as_records_(plugin_answer answer) {
    return as(answer, (const int8_t[]){0, -1, -1, 2}, 1);
}

/* With a number of 64 bits in one of the cases, all cases have another place. */
const void *plugin_as_time_(plugin_answer answer) {
    static struct {
        uint8_t failed;
        uint64_t kind;
        union { int64_t ms; plugin_text text; } outcome;
    } abi;
    answered = true;
    memset(&abi, 0, sizeof abi);
    if (answer.kind == PLUGIN_TIME) {
        abi.kind = 1;
        abi.outcome.ms = answer.ms;
    } else if (answer.kind == PLUGIN_SKIP) {
        abi.kind = 2;
        abi.outcome.text = answer.text;
    } else if (answer.kind != PLUGIN_DEFAULT) {
        const answer_abi *failure = plugin_as_bytes_(
            answer.kind == PLUGIN_BAD_MESSAGE || answer.kind == PLUGIN_FATAL
                ? answer
                : plugin_fatal("a timestamp setter cannot give such an answer"));
        abi.failed = 1;
        memcpy(&abi.kind, &failure->kind, sizeof(answer_abi) - offsetof(answer_abi, kind));
    }
    return &abi;
}

/* `result<_, string>` of a start, and `hook-outcome`: nothing, or a reason. */
const void *plugin_as_reason_(const char *reason) {
    static struct { uint8_t there; plugin_text reason; } abi;
    answered = true;
    abi.there = reason != NULL;
    abi.reason = plugin_str(reason ? reason : "");
    return &abi;
}

/* ---- Texts ---- */

plugin_text plugin_str(const char *text) { return (plugin_text){text, strlen(text)}; }

bool plugin_equal(plugin_text text, const char *other) {
    return text.at && text.size == strlen(other) && memcmp(text.at, other, text.size) == 0;
}

plugin_text plugin_level(const plugin_message *message, unsigned level) {
    const char *at = message->topic.at, *end = at + message->topic.size;
    for (;;) {
        const char *slash = at == end ? NULL : memchr(at, '/', (size_t)(end - at));
        if (level-- == 0) return (plugin_text){at, (size_t)((slash ? slash : end) - at)};
        if (!slash) return (plugin_text){0};
        at = slash + 1;
    }
}

plugin_text plugin_json(const plugin_message *message) {
    return message->json.there ? message->json.value : message->payload;
}

plugin_message plugin_test_message(const char *topic, const char *payload) {
    return (plugin_message){.topic = plugin_str(topic), .payload = plugin_str(payload), .qos = 1};
}

/* ---- The log ---- */

#ifdef __wasm__
__attribute__((import_module("mqtt-source:plugin/host@0.1.0"), import_name("log"))) void
plugin_host_log(int level, const char *target, size_t target_size, const char *line, size_t size);

void plugin_log(plugin_log_level level, const char *line) {
    plugin_host_log(level, "plugin", 6, line, strlen(line));
}
#else
void plugin_log(plugin_log_level level, const char *line) {
    static const char *const names[] = {"ERROR", "WARN", "INFO", "DEBUG", "TRACE"};
    fprintf(stderr, "%s %s\n", names[level], line);
}
#endif

/* ---- The time ---- */

#ifdef __wasm__
__attribute__((import_module("mqtt-source:plugin/clock@0.1.0"), import_name("now-ms"))) int64_t
plugin_host_now_ms(void);

int64_t plugin_now_ms(void) { return plugin_host_now_ms(); }
#else
static int64_t now_ms;

void plugin_test_now_ms(int64_t milliseconds) { now_ms = milliseconds; }

int64_t plugin_now_ms(void) {
    if (now_ms) return now_ms;
    struct timespec now;
    timespec_get(&now, TIME_UTC);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}
#endif
