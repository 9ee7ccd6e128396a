#include "cli/bench_peer.h"

static int on_body(llhttp_t *parser, const char *bytes, size_t len) {
  bench_peer *peer = parser->data;
  if (peer->calls->body)
    peer->calls->body(peer, peer->context, bytes, len);
  return 0;
}

static int on_headers_complete(llhttp_t *parser) {
  bench_peer *peer = parser->data;
  peer->headed = true;
  return 0;
}

static int on_message_complete(llhttp_t *parser) {
  bench_peer *peer = parser->data;
  if (peer->in_flight == 0)
    return -1; /* nobody asked */
  unsigned at = peer->first;
  peer->first = (at + 1) % BENCH_PIPELINE_MAX;
  peer->in_flight--;
  if (peer->calls->answer)
    peer->calls->answer(peer->context, parser->status_code, peer->sent_us[at],
                        peer->events[at]);
  return 0;
}

bool bench_peer_open(bench_peer *peer, const client *c, char out_error[320]) {
  curl_socket_t fd;
  peer->curl = client_connect(c, out_error);
  if (!peer->curl)
    return false;
  curl_easy_getinfo(peer->curl, CURLINFO_ACTIVESOCKET, &fd);
  peer->fd = fd;
  llhttp_settings_init(&peer->settings);
  peer->settings.on_headers_complete = on_headers_complete;
  peer->settings.on_body = on_body;
  peer->settings.on_message_complete = on_message_complete;
  llhttp_init(&peer->parser, HTTP_RESPONSE, &peer->settings);
  peer->parser.data = peer;
  tti_buf_init(&peer->out, SIZE_MAX); /* the caller looks at what is unsent */
  peer->out_at = 0;
  peer->first = peer->in_flight = 0;
  peer->tail_len = 0;
  peer->headed = false;
  return true;
}

void bench_peer_close(bench_peer *peer) {
  if (!peer->curl)
    return;
  curl_easy_cleanup(peer->curl);
  peer->curl = NULL;
  peer->in_flight = 0;
  tti_buf_fini(&peer->out);
}

void bench_peer_note(bench_peer *peer, int64_t sent_us, uint32_t events) {
  unsigned at = (peer->first + peer->in_flight++) % BENCH_PIPELINE_MAX;
  peer->sent_us[at] = sent_us;
  peer->events[at] = events;
}

bool bench_peer_send(bench_peer *peer) {
  while (bench_peer_unsent(peer)) {
    size_t sent = 0;
    CURLcode code = curl_easy_send(peer->curl, peer->out.data + peer->out_at,
                                   bench_peer_unsent(peer), &sent);
    if (code == CURLE_AGAIN)
      return true;
    if (code != CURLE_OK)
      return false;
    peer->out_at += sent;
  }
  tti_buf_clear(&peer->out);
  peer->out_at = 0;
  return true;
}

bool bench_peer_receive(bench_peer *peer) {
  char bytes[65536];
  for (;;) {
    size_t got = 0;
    CURLcode code = curl_easy_recv(peer->curl, bytes, sizeof(bytes), &got);
    if (code == CURLE_AGAIN)
      return true;
    if (code != CURLE_OK || got == 0) {
      llhttp_finish(&peer->parser);
      return false;
    }
    if (llhttp_execute(&peer->parser, bytes, got) != HPE_OK)
      return false;
  }
}
