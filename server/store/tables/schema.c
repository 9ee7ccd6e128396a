#include "server/store/tables/tables.h"

/* What each table is for stands in docs/store.md. Times are unix
 * microseconds. */
const char tables_schema[] =
    "CREATE TABLE webhooks(id TEXT PRIMARY KEY, url TEXT NOT NULL,"
    " description TEXT, events TEXT NOT NULL, filters TEXT, headers TEXT,"
    " format TEXT NOT NULL, ordered INTEGER NOT NULL, secret TEXT NOT NULL,"
    " previous_secret TEXT, previous_until_us INTEGER,"
    " enabled INTEGER NOT NULL, auto_disabled_us INTEGER,"
    " last_delivered_us INTEGER, created_us INTEGER NOT NULL,"
    " updated_us INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX webhooks_newest ON webhooks(created_us, id);"

    /* Deleted, while some of their deliveries are still there. */
    "CREATE TABLE webhooks_gone(id TEXT PRIMARY KEY) WITHOUT ROWID;"

    "CREATE TABLE outbox(n INTEGER PRIMARY KEY AUTOINCREMENT,"
    " id TEXT NOT NULL UNIQUE, seq INTEGER, type TEXT NOT NULL,"
    " subject TEXT, source TEXT, category TEXT, agent_id TEXT, level TEXT,"
    " labels TEXT, body BLOB NOT NULL, request BLOB,"
    " status INTEGER NOT NULL DEFAULT 0, attempts INTEGER NOT NULL DEFAULT 0,"
    " last_error TEXT, next_poll_us INTEGER NOT NULL,"
    " created_us INTEGER NOT NULL,"
    " processed_us INTEGER, expires_us INTEGER NOT NULL,"
    " matched TEXT, matched_count INTEGER NOT NULL DEFAULT 0);"
    "CREATE INDEX outbox_pending ON outbox(next_poll_us, n) WHERE status = 0;"
    "CREATE INDEX outbox_oldest ON outbox(created_us) WHERE status = 0;"
    "CREATE INDEX outbox_expiry ON outbox(expires_us);"

    "CREATE TABLE deliveries(n INTEGER PRIMARY KEY AUTOINCREMENT,"
    " id TEXT NOT NULL UNIQUE,"
    " webhook_id TEXT NOT NULL,"
    " event_id TEXT NOT NULL, replay_id TEXT, event_type TEXT NOT NULL,"
    " body BLOB, status INTEGER NOT NULL DEFAULT 0,"
    " attempts INTEGER NOT NULL DEFAULT 0, next_retry_us INTEGER,"
    " last_attempt_us INTEGER, last_status INTEGER, last_error TEXT,"
    " reason TEXT, created_us INTEGER NOT NULL, expires_us INTEGER NOT NULL);"
    "CREATE UNIQUE INDEX deliveries_once ON deliveries(event_id, webhook_id)"
    " WHERE replay_id IS NULL;"
    "CREATE INDEX deliveries_again ON deliveries(event_id, webhook_id)"
    " WHERE replay_id IS NOT NULL;"
    "CREATE INDEX deliveries_due ON deliveries(webhook_id,"
    " (replay_id IS NOT NULL), next_retry_us)"
    " WHERE status = 0;"
    "CREATE INDEX deliveries_failed ON deliveries(webhook_id, last_attempt_us)"
    " WHERE status = 2;"
    "CREATE INDEX deliveries_of_webhook ON deliveries(webhook_id, created_us,"
    " n);"
    "CREATE INDEX deliveries_expiry ON deliveries(expires_us);"

    "CREATE TABLE attempts(delivery_n INTEGER NOT NULL"
    " REFERENCES deliveries(n) ON DELETE CASCADE, attempt INTEGER NOT NULL,"
    " at_us INTEGER NOT NULL, duration_us INTEGER NOT NULL, status INTEGER,"
    " response BLOB, error TEXT, PRIMARY KEY(delivery_n, attempt))"
    " WITHOUT ROWID;"

    /* `keys` has a bit for each row of fleet_keys that the instance has sent;
     * expect_next_us is 0 when no more updates are expected, `ended` says why:
     * 1 (stop), 410 or 451. */
    "CREATE TABLE fleet_instances(n INTEGER PRIMARY KEY,"
    " id TEXT NOT NULL UNIQUE, first_us INTEGER NOT NULL,"
    " last_us INTEGER NOT NULL, timestamp_us INTEGER,"
    " expect_next_us INTEGER NOT NULL, ended INTEGER NOT NULL,"
    " updates INTEGER NOT NULL, skewed INTEGER NOT NULL,"
    " fields TEXT NOT NULL, keys BLOB NOT NULL);"
    "CREATE INDEX fleet_instances_last ON fleet_instances(last_us, n);"
    "CREATE INDEX fleet_instances_due ON fleet_instances(expect_next_us, n)"
    " WHERE expect_next_us > 0;"

    "CREATE TABLE fleet_updates(n INTEGER PRIMARY KEY AUTOINCREMENT,"
    " instance_n INTEGER NOT NULL, received_us INTEGER NOT NULL,"
    " timestamp_us INTEGER, expect_next_us INTEGER NOT NULL, data BLOB);"
    "CREATE INDEX fleet_updates_of_instance ON fleet_updates(instance_n, n);"

    "CREATE TABLE fleet_keys(n INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE,"
    " shapes INTEGER NOT NULL, instances INTEGER NOT NULL,"
    " first_us INTEGER NOT NULL, last_us INTEGER NOT NULL);"

    "CREATE TABLE fleet_rules(one INTEGER PRIMARY KEY CHECK(one = 1),"
    " rules TEXT NOT NULL);"

    /* Counted along: see fleet_instances.h. */
    "CREATE TABLE fleet_totals(name TEXT PRIMARY KEY, value INTEGER NOT NULL)"
    " WITHOUT ROWID;"

    "CREATE TABLE fleet_series(n INTEGER PRIMARY KEY, key TEXT NOT NULL,"
    " dimension TEXT NOT NULL, other INTEGER NOT NULL, value TEXT NOT NULL,"
    " first_us INTEGER NOT NULL, last_us INTEGER NOT NULL,"
    " UNIQUE(key, dimension, other, value));"

    "CREATE TABLE fleet_buckets(n INTEGER PRIMARY KEY,"
    " updates INTEGER NOT NULL, numbers INTEGER, sum REAL, min REAL, max REAL,"
    " sketch BLOB, instances BLOB, tally BLOB);"

    "CREATE TABLE fleet_shards(shard INTEGER PRIMARY KEY, n INTEGER NOT NULL)"
    ";";
