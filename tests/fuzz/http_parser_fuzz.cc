// Fuzz target: any bytes end in requests or a refusal, and the outcome does not depend on how the
// bytes are split over inputs. The first byte of the data chooses the split.
//
// Not part of the Meson build, since GCC has no libFuzzer. From the root, with clang:
//   meson setup build && ninja -C build subprojects/llhttp/libllhttp.a
//   clang++ -std=c++20 -g -O1 -fsanitize=fuzzer,address,undefined -DLLHTTP_STRICT_MODE=1 \
//     -Isrc -Iinclude -Itests/unit/http -isystem /usr/share/include/llhttp \
//     tests/fuzz/http_parser_fuzz.cc src/http/*.cc build/subprojects/llhttp/libllhttp.a \
//     -o build/http_parser_fuzz
//   mkdir -p build/http_corpus
//   build/http_parser_fuzz -max_len=4096 build/http_corpus tests/fuzz/corpus/http_parser
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "outcomes.h"

namespace {

// Small limits, so that short data reaches them.
constexpr postback::http::Limits kSmallLimits = {
    .request_line_bytes_max = 64,
    .header_bytes_max = 64,
    .head_bytes_max = 256,
    .header_count_max = 8,
    .body_bytes_max = 64,
    .chunk_extension_bytes_max = 16,
};

void check(const postback::http::Outcomes& whole, const postback::http::Outcomes& split) {
  if (whole == split) return;
  for (const std::string& outcome : whole) std::fprintf(stderr, "whole: %s\n", outcome.c_str());
  for (const std::string& outcome : split) std::fprintf(stderr, "split: %s\n", outcome.c_str());
  std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace postback::http;
  if (size == 0) return 0;
  const uint8_t choice = data[0];
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const Limits limits = (choice & 1) != 0 ? kSmallLimits : Limits{};
  const Outcomes whole = outcomes_whole(bytes, limits);
  check(whole, outcomes_by_byte(bytes, limits));
  check(whole, outcomes_random(bytes, choice, limits));
  return 0;
}
