// The other process of the SQLite tests.
//
//   sqlite_child lock PATH    takes the write lock, prints "locked", and keeps it until its
//   standard
//                             input ends
//   sqlite_child write PATH   commits one small batch after the other and prints each conversion_id
//                             once it is acknowledged, until it is killed

#include <sqlite3.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <string>
#include <string_view>

#include "store_harness.h"

namespace postback::test {
namespace {

int hold_lock(const char* path) {
  sqlite3* handle = nullptr;
  if (sqlite3_open_v2(path, &handle, SQLITE_OPEN_READWRITE, nullptr) != SQLITE_OK) return 1;
  if (sqlite3_exec(handle, "BEGIN EXCLUSIVE", nullptr, nullptr, nullptr) != SQLITE_OK) return 1;
  std::puts("locked");
  std::fflush(stdout);
  while (std::getchar() != EOF) {
  }
  sqlite3_exec(handle, "ROLLBACK", nullptr, nullptr, nullptr);
  return sqlite3_close(handle) == SQLITE_OK ? 0 : 1;
}

int write_until_killed(const std::string& path) {
  store::Services services;
  TestCore core;
  store::StoreOptions options;
  options.url = "sqlite:" + path;
  options.writer_id = getpid();
  options.services = &services;
  options.loop = core.loop();
  options.mailbox = core.mailbox();
  options.clock = &base::system_clock();
  TestStore store(&core, options);
  // Ids that no earlier process of the test has used.
  const int64_t first_id = base::system_clock().wall_us() * 1000;
  for (int64_t n = 0;; n += 3) {
    TestBatch batch;
    for (int64_t i = 0; i < 3; ++i) {
      Conversion& conversion = batch.add(std::to_string(first_id + n + i));
      conversion.id = first_id + n + i;
      conversion.usd_sale_amount = decimal("1.00");
    }
    if (store.commit(batch) != BatchResult::committed) return 1;
    for (const BatchRow& row : batch.conversions) {
      std::printf("%s\n", std::string(row.conversion->text(Field::conversion_id)).c_str());
    }
    std::fflush(stdout);
  }
}

}  // namespace
}  // namespace postback::test

int main(int argc, char** argv) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (argc != 3) return 2;
  if (std::string_view(argv[1]) == "lock") return postback::test::hold_lock(argv[2]);
  return postback::test::write_until_killed(argv[2]);
}
