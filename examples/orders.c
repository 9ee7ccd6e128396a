/* Orders and the events about them, in one transaction each:
 *
 *   example-orders FILE NUMBER...
 *
 * books each order in an SQLite database. A negative number is an order that
 * fails halfway, and leaves neither a row nor an event. To book an order again
 * changes nothing. */
#include <sqlite3.h>
#include <stdio.h>
#include <telltale/outbox.h>

static void on_log(void *context, tt_level level, const char *message) {
  (void)context;
  fprintf(stderr, "%s: %s\n", tt_level_name(level), message);
}

static int run(sqlite3 *db, const char *sql) {
  return sqlite3_exec(db, sql, NULL, NULL, NULL);
}

/* The order's row and its event, both or neither. */
static int book(tt_outbox *outbox, sqlite3 *db, const char *number) {
  char id[TELLTALE_OUTBOX_ID_SIZE], data[100];
  int failed = run(db, "BEGIN IMMEDIATE");
  if (failed)
    return failed;
  char *insert = sqlite3_mprintf(
      "INSERT INTO orders(number) VALUES(%Q) ON CONFLICT DO NOTHING", number);
  failed = !insert || run(db, insert);
  sqlite3_free(insert);

  sqlite3_snprintf(sizeof(data), data, "{\"order\":\"%w\"}", number);
  failed = failed || tt_outbox_id(id, "order", number, "booked") ||
           tt_outbox_publish(outbox, db,
                             &(tt_outbox_event){.id = id,
                                                .type = "order.booked",
                                                .source = "orders",
                                                .subject = number,
                                                .data = data});
  failed = failed || number[0] == '-'; /* something else goes wrong */
  return run(db, failed ? "ROLLBACK" : "COMMIT") || failed;
}

int main(int argc, char **argv) {
  sqlite3 *db = NULL;
  tt_outbox *outbox = NULL;
  int status = 1;
  if (argc < 2 || sqlite3_open(argv[1], &db))
    goto out;
  sqlite3_busy_timeout(db, 5000);
  if (run(db, "PRAGMA journal_mode=WAL;"
              "CREATE TABLE IF NOT EXISTS orders(number TEXT PRIMARY KEY)") ||
      tt_outbox_new(&(tt_outbox_options){.log = {.log = on_log}}, &outbox) ||
      tt_outbox_migrate(outbox, db) || tt_outbox_attach(outbox, db))
    goto out;
  for (int i = 2; i < argc; i++)
    printf("%s: %s\n", argv[i],
           book(outbox, db, argv[i]) ? "not booked" : "booked");
  status = 0;
out:
  if (status && db)
    fprintf(stderr, "%s\n", sqlite3_errmsg(db));
  tt_outbox_free(outbox);
  sqlite3_close(db);
  return status;
}
