// What came of a run: counts, latencies, the file of acknowledged ids, a line per second. One
// thread.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

#include "base/status.h"
#include "load/latencies.h"
#include "load/options.h"

namespace postback::load {

class Account {
 public:
  // `options` outlives this.
  explicit Account(const Options& options) : options_(options) {}
  ~Account();
  Account(const Account&) = delete;
  Account& operator=(const Account&) = delete;

  // Opens the files that the options ask for.
  base::Status open();

  // The postback left the client `late_us` after it was due.
  void sent(uint64_t late_us);
  // A complete answer, `latency_us` after the postback was due.
  void answered(const std::string& id, int status, std::string_view body, uint64_t latency_us);
  // The connection ended, could not be made, or did not speak HTTP.
  void broke() { ++broken_, ++second_broken_; }
  void timed_out() { ++timeouts_, ++second_broken_; }
  // An idle connection was closed by the server and made anew; no postback was on it.
  void reconnected() { ++reconnects_; }
  // Due, and never sent: it counts with the time it had waited.
  void never_sent(uint64_t waited_us);

  // Writes the acknowledged ids. Call before anything else is sent.
  void write_ids();
  // Ends second `second` (from 0): its line in the file and on standard error. `waiting`:
  // postbacks that are due and not sent.
  void end_second(uint64_t second, uint64_t waiting);
  // The account as a line of JSON. `offered`: postbacks that became due.
  void print(double seconds, uint64_t offered) const;

 private:
  const Options& options_;
  int ids_file_ = -1;
  std::FILE* csv_file_ = nullptr;
  std::string ids_;  // Not yet written.
  Latencies latencies_, late_, second_;
  uint64_t sent_ = 0;
  uint64_t success_ = 0;
  uint64_t duplicate_ = 0;
  uint64_t accepted_ = 0;
  uint64_t other_200_ = 0;
  uint64_t mismatched_ = 0;  // 200 for another id than was sent: must never happen.
  uint64_t not_200_ = 0;
  uint64_t broken_ = 0;
  uint64_t timeouts_ = 0;
  uint64_t unsent_ = 0;
  uint64_t reconnects_ = 0;
  uint64_t second_not_200_ = 0;
  uint64_t second_broken_ = 0;
};

}  // namespace postback::load
