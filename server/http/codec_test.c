#include "tests/unit.h"

#include "server/http/codec.h"
#include <stdlib.h>
#include <zstd.h>

/* What the decoder says that it takes is charged before it takes it, so it must
 * not be less than what it does take. */
static void the_memory_that_zstd_asks_for_is_enough(void **state) {
  (void)state;
  size_t size = 4u << 20, room = ZSTD_compressBound(size);
  char *text = malloc(size), *packed = malloc(room), *out = malloc(1 << 16);
  for (uint32_t i = 0, x = 1; i < size; i++) {
    x = x * 1664525u + 1013904223u;
    text[i] = "0123456789abcdef"[x >> 28];
  }
  for (int log = 10; log <= 23; log++) {
    ZSTD_CCtx *c = ZSTD_createCCtx();
    ZSTD_CCtx_setParameter(c, ZSTD_c_windowLog, log);
    ZSTD_CCtx_setParameter(c, ZSTD_c_contentSizeFlag, log % 2);
    size_t len = ZSTD_compress2(c, packed, room, text, size);
    ZSTD_freeCCtx(c);
    tti_slice rest = {packed, len};
    size_t asked = 0, done = 0;
    assert_int_equal(codec_zstd.look(rest, &asked), CODEC_GOES_ON);
    assert_true(asked >= ((size_t)1 << (log < 22 ? log : 22)));
    void *codec = codec_zstd.open();
    codec_result result = CODEC_GOES_ON;
    while (result == CODEC_GOES_ON) {
      size_t n = 1 << 16;
      result = codec_zstd.step(codec, &rest, out, &n);
      assert_memory_equal(out, text + done, n);
      done += n;
    }
    assert_int_equal(result, CODEC_MEMBER_ENDED);
    assert_int_equal(done, size);
    size_t takes = ZSTD_sizeof_DCtx(*(ZSTD_DCtx **)codec);
    assert_true(takes <= asked);
    assert_true(takes > asked / 3);
    codec_zstd.close(codec);
  }
  free(text);
  free(packed);
  free(out);
}

static codec_result look(const char *bytes, size_t len, size_t *out_memory) {
  return codec_zstd.look((tti_slice){bytes, len}, out_memory);
}

static void a_frame_header_is_read_as_it_is_written(void **state) {
  (void)state;
  static const struct {
    const char *bytes;
    size_t len;
    codec_result result;
    size_t window;
  } heads[] = {
      {"\x28\xb5\x2f\xfd\x00\x58", 6, CODEC_GOES_ON, 2u << 20},
      {"\x28\xb5\x2f\xfd\x00\x59", 6, CODEC_GOES_ON, (2u << 20) + (256u << 10)},
      {"\x28\xb5\x2f\xfd\x00\x68", 6, CODEC_GOES_ON, 8u << 20},
      {"\x28\xb5\x2f\xfd\x00\x69", 6, CODEC_WINDOW, 0},
      {"\x28\xb5\x2f\xfd\x00\xff", 6, CODEC_WINDOW, 0},
      {"\x28\xb5\x2f\xfd\x20\x07", 6, CODEC_GOES_ON, 7},
      {"\x28\xb5\x2f\xfd\x60\x07\x01", 7, CODEC_GOES_ON, 256 + 263},
      {"\x28\xb5\x2f\xfd\xa3idid\x00\x00\x80\x00", 13, CODEC_GOES_ON, 8u << 20},
      {"\x28\xb5\x2f\xfd\xa3idid\x01\x00\x80\x00", 13, CODEC_WINDOW, 0},
      {"\x28\xb5\x2f\xfd\xe0\xff\xff\xff\xff\xff\xff\xff\xff", 13, CODEC_WINDOW,
       0},
      {"\x28\xb5\x2f\xfd\xe0\xff\xff\xff\xff\xff\xff\xff", 12, CODEC_CUT, 0},
      {"\x28\xb5\x2f\xfd\x00", 5, CODEC_CUT, 0},
      {"\x28\xb5\x2f\xfd", 4, CODEC_CUT, 0},
      {"\x28\xb5", 2, CODEC_CUT, 0},
      {"\x28\xb6", 2, CODEC_BROKEN, 0},
      {"\x5f\x2a\x4d\x18", 4, CODEC_GOES_ON, 0},
      {"\x5f\x2a\x4d\x19", 4, CODEC_BROKEN, 0},
      {"\x1f\x8b\x08\x00", 4, CODEC_BROKEN, 0},
  };
  size_t least, memory;
  assert_int_equal(look("\x50\x2a\x4d\x18", 4, &least), CODEC_GOES_ON);
  for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
    assert_int_equal(look(heads[i].bytes, heads[i].len, &memory),
                     heads[i].result);
    if (heads[i].result == CODEC_GOES_ON)
      assert_int_equal(memory - least, heads[i].window);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_memory_that_zstd_asks_for_is_enough),
      cmocka_unit_test(a_frame_header_is_read_as_it_is_written),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
