#include "server/feed/frame.h"

void frame_event(tti_buf *out, tti_view view, uint64_t seq,
                 const tti_record *record) {
  tti_buf_append_text(out, "id: ");
  tti_buf_append_u64(out, seq);
  tti_buf_append_text(out, "\ndata: ");
  tti_view_render(out, view, seq, record);
  tti_buf_append_text(out, "\n\n");
}

void frame_dropped(tti_buf *out, uint64_t from_seq, uint64_t to_seq,
                   const char *reason) {
  tti_buf_append_text(out, "event: dropped\nid: ");
  tti_buf_append_u64(out, to_seq);
  tti_buf_append_text(out, "\ndata: {\"dropped\":");
  tti_buf_append_u64(out, to_seq - from_seq + 1);
  tti_buf_append_text(out, ",\"from_seq\":");
  tti_buf_append_u64(out, from_seq);
  tti_buf_append_text(out, ",\"to_seq\":");
  tti_buf_append_u64(out, to_seq);
  tti_buf_append_text(out, ",\"reason\":\"");
  tti_buf_append_text(out, reason);
  tti_buf_append_text(out, "\"}\n\n");
}

void frame_reset(tti_buf *out, uint64_t requested, uint64_t head) {
  tti_buf_append_text(out, "event: reset\nid: ");
  tti_buf_append_u64(out, head);
  tti_buf_append_text(out, "\ndata: {\"requested\":");
  tti_buf_append_u64(out, requested);
  tti_buf_append_text(out, ",\"head\":");
  tti_buf_append_u64(out, head);
  tti_buf_append_text(out, "}\n\n");
}

void frame_position(tti_buf *out, uint64_t seq) {
  tti_buf_append_text(out, "event: position\nid: ");
  tti_buf_append_u64(out, seq);
  tti_buf_append_text(out, "\ndata: {\"seq\":");
  tti_buf_append_u64(out, seq);
  tti_buf_append_text(out, "}\n\n");
}

void frame_retry(tti_buf *out, uint64_t ms) {
  tti_buf_append_text(out, "retry: ");
  tti_buf_append_u64(out, ms);
  tti_buf_append_text(out, "\n\n");
}
