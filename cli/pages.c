#include "cli/pages.h"
#include "cli/line.h"
#include "cli/options.h"
#include "lib/json/scan.h"

#include <time.h>

enum { BUSY_TRIES = 10, BUSY_WAIT_MAX_S = 5 };

void pages_init(pages *p, client *c, const char *command, const char *query) {
  *p = (pages){.client = c, .command = command, .query = query};
  client_answer_init(&p->answer);
}

void pages_fini(pages *p) {
  client_answer_fini(&p->answer);
}

/* Over the events of an array. */
static void open_items(tti_json_scan *scan, tti_slice items) {
  tti_json_scan_init(scan, items);
  scan->max_depth++; /* an event may be as deep as one that stands alone */
  tti_json_scan_open_array(scan);
}

static bool next_item(tti_json_scan *scan, tti_json_value *out_event) {
  return tti_json_scan_item(scan) && tti_json_scan_value(scan, out_event);
}

static unsigned long long seq_of(tti_slice event) {
  static const tti_slice names[] = {{"seq", 3}};
  tti_json_names table;
  tti_json_value seq;
  unsigned long long value = 0;
  tti_json_names_init(&table, names, 1);
  if (!tti_json_check_fields(event, &table, &seq, NULL) &&
      seq.type == TTI_JSON_NUMBER)
    tti_slice_to_u64(seq.text, &value);
  return value;
}

static bool keep_cursor(pages *p, const tti_json_value *cursor) {
  p->cursor[0] = '\0';
  if (cursor->type == TTI_JSON_NULL)
    return true;
  if (cursor->type != TTI_JSON_STRING || cursor->escaped ||
      cursor->text.len - 2 >= sizeof(p->cursor))
    return false;
  tti_slice text = tti_json_inside(cursor->text);
  memcpy(p->cursor, text.ptr, text.len);
  p->cursor[text.len] = '\0';
  return text.len > 0;
}

static bool take_page(pages *p) {
  static const tti_slice names[] = {{"items", 5}, {"next_cursor", 11}};
  tti_json_names table;
  tti_json_value values[2], event;
  tti_json_scan scan;
  tti_json_names_init(&table, names, 2);
  tti_json_scan_init(&scan, tti_buf_slice(&p->answer.body));
  scan.max_depth += 2;
  if (!tti_json_scan_fields(&scan, &table, values) ||
      !tti_json_scan_end(&scan) || values[0].type != TTI_JSON_ARRAY ||
      !keep_cursor(p, &values[1]))
    return false;
  p->items = values[0].text;
  p->count = p->first_seq = p->last_seq = 0;
  open_items(&scan, p->items);
  while (next_item(&scan, &event)) {
    p->last_seq = seq_of(event.text);
    if (p->count++ == 0)
      p->first_seq = p->last_seq;
  }
  return true;
}

static void ask(pages *p, const char *path) {
  for (int tries = 1;; tries++) {
    p->request.path = path;
    client_call(p->client, &p->request, &p->answer);
    long wait_s = p->answer.retry_after_s;
    if (p->answer.status != 503 || wait_s < 1 || tries == BUSY_TRIES)
      return;
    struct timespec wait = {
        .tv_sec = wait_s < BUSY_WAIT_MAX_S ? wait_s : BUSY_WAIT_MAX_S};
    nanosleep(&wait, NULL);
  }
}

int pages_next(pages *p, unsigned long long limit) {
  tti_buf path;
  tti_buf_init(&path, 65536);
  tti_buf_printf(&path, "%s&limit=%llu", p->query, limit);
  if (p->cursor[0]) {
    tti_buf_append_text(&path, "&cursor=");
    client_escape(&path, p->cursor);
  }
  tti_buf_append(&path, "", 1);
  int status = CLI_USAGE;
  if (path.error) {
    fprintf(stderr, "telltale %s: the filters are too long\n", p->command);
    goto out;
  }
  ask(p, path.data);
  status = client_report(p->command, &p->answer);
  p->head = p->answer.head;
  if (status == CLI_OK && !take_page(p)) {
    fprintf(stderr,
            "telltale %s: the answer is not a page of events: is --url a "
            "telltale server?\n",
            p->command);
    status = CLI_FAILED;
  }
out:
  tti_buf_fini(&path);
  return status;
}

void pages_print(const pages *p, bool json) {
  bool colours = cli_colours(stdout);
  tti_json_scan scan;
  tti_json_value event;
  open_items(&scan, p->items);
  while (next_item(&scan, &event)) {
    if (json)
      cli_json_print(stdout, event.text);
    else
      cli_line_print(stdout, event.text, colours);
  }
}
