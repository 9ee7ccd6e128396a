#include "server/history/chain.h"

void chains_init(chains *set, store *s) {
  *set = (chains){.store = s};
  pthread_mutex_init(&set->lock, NULL);
  pthread_cond_init(&set->ended, NULL);
}

void chains_fini(chains *set) {
  pthread_mutex_lock(&set->lock);
  while (set->reads > 0)
    pthread_cond_wait(&set->ended, &set->lock);
  pthread_mutex_unlock(&set->lock);
  while (set->first) /* unanswered, on loops that were stopped */
    chain_end(set->first);
  pthread_cond_destroy(&set->ended);
  pthread_mutex_destroy(&set->lock);
}

/* On the loop. */
static void run_step(loop_task *task) {
  chain *c = (chain *)(void *)((char *)task - offsetof(chain, task));
  c->step(c);
}

/* On a reading thread. */
static void read_ended(store_read *read) {
  chain *c = read->owner;
  chains *set = c->set;
  pthread_mutex_lock(&set->lock);
  set->reads--;
  loop_post(c->loop, &c->task);
  pthread_cond_signal(&set->ended);
  pthread_mutex_unlock(&set->lock);
}

bool chain_begin(chain *c, chains *set, http_request *request, bool heavy) {
  bool room = true;
  c->set = set;
  c->loop = http_request_loop(request);
  c->task.run = run_step;
  c->heavy = heavy;
  c->read->done = read_ended;
  c->read->owner = c;
  pthread_mutex_lock(&set->lock);
  if (heavy && set->heavy >= CHAINS_HEAVY_MAX) {
    room = false;
  } else {
    set->heavy += heavy;
    c->next = set->first;
    c->link = &set->first;
    if (c->next)
      c->next->link = &c->next;
    set->first = c;
  }
  pthread_mutex_unlock(&set->lock);
  return room;
}

void chain_end(chain *c) {
  chains *set = c->set;
  pthread_mutex_lock(&set->lock);
  *c->link = c->next;
  if (c->next)
    c->next->link = c->link;
  set->heavy -= c->heavy;
  pthread_mutex_unlock(&set->lock);
  c->free_fn(c);
}

void chain_submit(chain *c) {
  chains *set = c->set;
  pthread_mutex_lock(&set->lock);
  set->reads++;
  pthread_mutex_unlock(&set->lock);
  tt_error error = store_read_submit(set->store, c->read);
  if (error == TT_OK)
    return;
  pthread_mutex_lock(&set->lock);
  set->reads--;
  pthread_mutex_unlock(&set->lock);
  c->read->error = error;
  c->step(c);
}

void chain_reply_failed(http_request *request, tt_error error) {
  http_reply_header(request, "Retry-After", "1");
  if (error == TT_EFULL)
    http_reply_error(request, 503, "busy",
                     "too many reads are waiting for the store; try again in a "
                     "second");
  else
    http_reply_error(request, 503, "store_failed",
                     "the store could not be read (%s); see the server's log",
                     tt_error_message(error));
}

void chain_reply_memory(http_request *request) {
  http_reply_error(request, 503, "out_of_memory",
                   "the server is out of memory; try again later");
}
