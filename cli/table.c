#include "cli/table.h"

#include "cli/line.h"
#include "cli/options.h"
#include "cli/pages.h"
#include "lib/json/scan.h"
#include "lib/json/write.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- Values ---- */

/* A list of texts as "a,b"; anything else as cli_value_print has it. Answers
 * how many bytes were meant to be seen. */
static size_t put_cell(const tti_json_value *value) {
  if (value->type != TTI_JSON_ARRAY) {
    cli_value_print(stdout, value);
    return value->type == TTI_JSON_STRING ? value->text.len - 2
                                          : value->text.len;
  }
  tti_json_scan scan;
  tti_json_value item;
  size_t len = 0;
  tti_json_scan_init(&scan, value->text);
  tti_json_scan_open_array(&scan);
  while (tti_json_scan_item(&scan) && tti_json_scan_value(&scan, &item)) {
    if (len++)
      putchar(',');
    cli_value_print(stdout, &item);
    len += item.text.len - (item.type == TTI_JSON_STRING ? 2 : 0);
  }
  return len ? len - 1 : 0;
}

static void put_row(tti_slice item, const cli_column *columns) {
  tti_slice names[CLI_COLUMNS_MAX];
  tti_json_value values[CLI_COLUMNS_MAX];
  tti_json_names table;
  size_t count = 0;
  for (; columns[count].key; count++)
    names[count] = tti_slice_of(columns[count].key);
  tti_json_names_init(&table, names, count);
  if (tti_json_check_fields(item, &table, values, NULL))
    return;
  for (size_t i = 0; i < count; i++) {
    bool there =
        values[i].type != TTI_JSON_NONE && values[i].type != TTI_JSON_NULL;
    size_t len = there ? put_cell(&values[i]) : 0;
    int pad = columns[i].width - (int)(len < 1000 ? len : 1000);
    if (columns[i + 1].key)
      printf("%*s ", pad > 0 ? pad : 0, "");
  }
  putchar('\n');
}

static void put_titles(const cli_column *columns) {
  for (; columns->key; columns++)
    printf("%-*s%s", columns->width, columns->title,
           columns[1].key ? " " : "\n");
}

static void put_rows(tti_slice array, const cli_column *columns, bool json) {
  tti_json_scan scan;
  tti_json_value item;
  tti_json_scan_init(&scan, array);
  scan.max_depth++; /* an item may be as deep as one that stands alone */
  if (!tti_json_scan_open_array(&scan))
    return;
  while (tti_json_scan_item(&scan) && tti_json_scan_value(&scan, &item)) {
    if (json)
      cli_json_print(stdout, item.text);
    else
      put_row(item.text, columns);
  }
}

int cli_table_print(client *c, const char *command,
                    const client_request *request, unsigned long long limit,
                    const cli_column *columns, bool json) {
  enum { PAGE = 100 };
  pages p;
  bool titled = json;
  int status;
  pages_init(&p, c, command, request->path);
  p.request = *request;
  do {
    status = pages_next(&p, limit < PAGE ? limit : PAGE);
    if (status)
      break;
    if (p.count && !titled)
      put_titles(columns);
    titled = titled || p.count;
    put_rows(p.items, columns, json);
    limit -= p.count < limit ? p.count : limit;
  } while (limit && p.cursor[0]);
  pages_fini(&p);
  return status;
}

/* "  key=value key=value" for each object of an array. */
static void put_objects(tti_slice array) {
  tti_json_scan scan;
  tti_json_value key, value;
  tti_json_scan_init(&scan, array);
  tti_json_scan_open_array(&scan);
  while (tti_json_scan_item(&scan) && tti_json_scan_open_object(&scan)) {
    fputs("\n ", stdout);
    while (tti_json_scan_member(&scan, &key) &&
           tti_json_scan_value(&scan, &value)) {
      putchar(' ');
      cli_value_print(stdout, &key);
      putchar('=');
      cli_value_print(stdout, &value);
    }
  }
}

static bool holds_objects(const tti_json_value *value) {
  return value->type == TTI_JSON_ARRAY && value->text.len > 2 &&
         value->text.ptr[1] == '{';
}

void cli_answer_print(tti_slice object, bool json) {
  tti_json_scan scan;
  tti_json_value key, value;
  if (json) {
    cli_json_print(stdout, object);
    return;
  }
  tti_json_scan_init(&scan, object);
  if (!tti_json_scan_open_object(&scan))
    return;
  while (tti_json_scan_member(&scan, &key) &&
         tti_json_scan_value(&scan, &value)) {
    int pad = 26 - (int)key.text.len;
    cli_value_print(stdout, &key);
    if (holds_objects(&value)) {
      put_objects(value.text);
    } else {
      printf("%*s ", pad > 0 ? pad : 0, "");
      put_cell(&value);
    }
    putchar('\n');
  }
}

tti_slice cli_member(tti_slice object, const char *key) {
  tti_slice name = tti_slice_of(key);
  tti_json_names table;
  tti_json_value value;
  tti_json_names_init(&table, &name, 1);
  if (tti_json_check_fields(object, &table, &value, NULL) ||
      value.type == TTI_JSON_NONE)
    return (tti_slice){0};
  return value.type == TTI_JSON_STRING ? tti_json_inside(value.text)
                                       : value.text;
}

int cli_call_and_print(client *c, const char *command,
                       const client_request *request, bool json) {
  client_answer answer;
  client_answer_init(&answer);
  client_call(c, request, &answer);
  int status = client_report(command, &answer);
  if (status == CLI_OK && answer.body.len)
    cli_answer_print(tti_buf_slice(&answer.body), json);
  client_answer_fini(&answer);
  return status;
}

/* ---- Bodies ---- */

static void put_key(tti_buf *body, const char *key) {
  if (body->len && body->data[body->len - 1] != '{')
    tti_buf_append_char(body, ',');
  tti_json_write_key(body, tti_slice_of(key));
}

void cli_put_text(tti_buf *body, const char *key, const char *value) {
  if (!value)
    return;
  put_key(body, key);
  tti_json_write_text(body, value);
}

void cli_put_json(tti_buf *body, const char *key, const char *value) {
  if (!value)
    return;
  put_key(body, key);
  tti_buf_append_text(body, value);
}

void cli_put_list(tti_buf *body, const char *key, const char *value) {
  if (!value)
    return;
  put_key(body, key);
  tti_buf_append_char(body, '[');
  for (const char *comma = ""; *value; comma = ",") {
    size_t len = strcspn(value, ",");
    tti_buf_append_text(body, comma);
    tti_json_write_string(body, (tti_slice){value, len});
    value += len + (value[len] == ',');
  }
  tti_buf_append_char(body, ']');
}

bool cli_is_json(const char *text) {
  return !text || tti_json_check(tti_slice_of(text), NULL, NULL) == TT_OK;
}
