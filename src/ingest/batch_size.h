// How many rows a lane puts into one batch: as many as its database stores in a fraction of its
// time limit. The size is cut when a batch took too long or failed, and doubled while full batches
// are quick, so a database with a slow trigger gets small batches and every other one large ones.
//
// A cut is undone when it did not help: where a commit takes long whatever its rows are (a slow
// disk), small batches would only pay for it more often.
//
// Owner: a lane. Thread: its core's. Times are monotonic.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "ingest/limits.h"

namespace postback::ingest {

class BatchSize {
 public:
  size_t rows_max() const { return rows_max_; }

  // The store committed a batch. Batches come back in the order of submission, so one that waited
  // behind another is measured from that one's answer on.
  void committed(size_t rows, uint64_t submitted_ns, uint64_t now_ns) {
    const uint64_t begun_ns = std::max(submitted_ns, answered_ns_);
    answered_ns_ = now_ns;
    // Batches that are answered in one turn were committed together: the first one tells the time.
    if (begun_ns == now_ns && submitted_ns < now_ns) return;
    const uint64_t took_ns = now_ns - begun_ns;
    if (took_ns > kBatchNsMax) {
      was_slow(rows, took_ns, now_ns);
    } else if (rows >= rows_max_ && took_ns <= kBatchNsMax / 2) {
      rows_max_ = std::min(2 * rows_max_, kBatchRowsMax);
    }
  }

  // The database did not take a batch, in time or at all. Where the outage was the server's, the
  // size is back after ten quick batches.
  void failed(size_t rows) {
    rows_max_ = std::clamp<size_t>(rows / kBatchCut, 1, rows_max_);
    cut_rows_ = 0;
  }

 private:
  void was_slow(size_t rows, uint64_t took_ns, uint64_t now_ns) {
    if (rows < 2 || now_ns < cut_from_ns_) return;
    if (cut_rows_ != 0 && rows <= cut_rows_ / 2 && took_ns > cut_took_ns_ / 2) {
      rows_max_ = std::max(rows_max_, cut_rows_);
      cut_rows_ = 0;
      cut_from_ns_ = now_ns + kCutPauseNs;
      return;
    }
    cut_rows_ = rows;
    cut_took_ns_ = took_ns;
    const size_t rows_in_time = rows * (kBatchNsMax / 2) / took_ns;
    rows_max_ = std::clamp<size_t>(rows_in_time, 1, rows / 2);
  }

  static constexpr uint64_t kCutPauseNs = 10'000'000'000;

  size_t rows_max_ = kBatchRowsMax;
  uint64_t answered_ns_ = 0;  // When the last batch came back.
  // The last cut: what took how long. 0 rows: it failed, or it was undone.
  size_t cut_rows_ = 0;
  uint64_t cut_took_ns_ = 0;
  uint64_t cut_from_ns_ = 0;  // No slow batch is a reason to cut before this time.
};

}  // namespace postback::ingest
