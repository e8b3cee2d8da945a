#include "retention/purge_pace.h"

#include <algorithm>

#include "retention/limits.h"

namespace postback::retention {

using base::Result;

Result<int64_t> PurgePace::change(const std::function<Result<int64_t>()>& transaction,
                                  uint64_t* worked_ns) {
  *worked_ns = 0;
  for (int attempt = 1;; ++attempt) {
    const uint64_t began_ns = clock_->monotonic_ns();
    Result<int64_t> changed = transaction();
    if (changed.ok()) {
      *worked_ns = std::max<uint64_t>(clock_->monotonic_ns() - began_ns, 1);
      limit_log();
      rest(*worked_ns);
      return changed;
    }
    // A SQLite file has one writer, which may be busy; nothing else is known to pass soon.
    if (!client_->busy() || client_->broken() || attempt == kBusyTimesMax) return changed;
    stopped_ = stopped_ || !pause_(kBusyPauseNs);
    if (stopped_) return int64_t{0};
  }
}

// A server that stores nothing does not empty the write-ahead log either.
void PurgePace::limit_log() {
  if (client_->log_pages() < kLogPagesMax) return;
  // When it fails, the log is longer until the server or the next attempt writes it back.
  (void)client_->checkpoint();
}

void PurgePace::rest(uint64_t worked_ns) {
  stopped_ = stopped_ || !pause_(std::min(worked_ns * kPauseTimes, kPauseNsMax));
}

}  // namespace postback::retention
