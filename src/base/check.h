// CHECK: a fault of ours. Stops the process at once, in production too: to go on with broken
// state could acknowledge what is not stored. Never reachable by bytes from outside.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace postback::base {

[[noreturn]] inline void check_failed(const char* file, int line, const char* condition) {
  std::fprintf(stderr, "CHECK failed at %s:%d: %s\n", file, line, condition);
  std::abort();
}

}  // namespace postback::base

#define CHECK(condition)                               \
  (static_cast<bool>(condition) ? static_cast<void>(0) \
                                : ::postback::base::check_failed(__FILE__, __LINE__, #condition))
