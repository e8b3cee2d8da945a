// Fuzz target of conversion/date_time: what parses lies in its years, and prints and parses again
// to the same. Not part of the Meson build; with clang, from the root:
//   clang++-14 -std=c++20 -g -O1 -fsanitize=fuzzer,address,undefined -Iinclude -Isrc
//   -DUSE_OS_TZDB=1
//     -DONLY_C_LOCALE=1 -DHAS_STRING_VIEW=1 tests/fuzz/date_time_fuzz.cc
//     src/conversion/{date_time,time_zone}.cc src/base/time.cc -ldate-tz -o date_time_fuzz &&
//     ./date_time_fuzz tests/fuzz/corpus/date_time
#include <cstdint>
#include <string>

#include "base/check.h"
#include "base/time.h"
#include "conversion/date_time.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace postback::conversion;
  static const TimeZone zone = TimeZone::find("America/New_York").take();
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  int64_t time_us = -1;
  if (parse_date_time(text, zone, &time_us) != DateFault::none) {
    CHECK(time_us == -1);
    return 0;
  }
  CHECK(time_us >= 0);
  std::string iso;
  postback::base::append_iso8601(&iso, time_us);
  int64_t again_us = -1;
  CHECK(parse_date_time(iso, TimeZone(), &again_us) == DateFault::none);
  CHECK(again_us == time_us);
  return 0;
}
