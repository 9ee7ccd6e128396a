#include "server/backup/backup.h"

#define LOCAL_ONLY                                                             \
  { 403, "It did not come over the admin socket.", .codes = "local_only" }

const http_description backup_start_about = {
    .summary = "Make a backup, over the admin socket",
    .tag = "backup",
    .body = {{"application/json", "BackupRequest"}},
    .answers = {
        {202, "It has begun.", .type = "application/json", .schema = "Backup"},
        {400, "The body makes no sense.", .codes = "invalid_backup"},
        LOCAL_ONLY,
        {409, "Another one is being made.", .codes = "backup_running"}}};

const http_description backup_state_about = {
    .summary = "How the last backup goes or went",
    .tag = "backup",
    .answers = {
        {200, "As of now.", .type = "application/json", .schema = "Backup"},
        LOCAL_ONLY}};

const http_description backup_cancel_about = {
    .summary = "Give up the backup that is being made",
    .tag = "backup",
    .answers = {
        {202, "It ends soon.", .type = "application/json", .schema = "Backup"},
        LOCAL_ONLY}};
