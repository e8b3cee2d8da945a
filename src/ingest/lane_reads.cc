// The lane's reads: statistics and pages of conversions, on behalf of requests.
#include "ingest/lane.h"
#include "ingest/limits.h"

namespace postback::ingest {

void Lane::read(ReadJob& job) {
  job.latency_us.merge(counters_.latency_us);
  if (reads_waiting_.size() + reads_running_ >= kLaneReadsMax || retiring_) {
    job.ok = false;
    job.error = "too many reads of this partner at once";
    job.slice = job.slice_count - 1;
    return_read(job);
    return;
  }
  // Repeats counted so far are filed first, so that the statistics hold them.
  if (duplicates_unfiled_ > 0 && health_ == LaneHealth::up) {
    job.filing_needed = filings_started_ + 1;
    counts_due_ = true;
    mark_dirty();
  } else {
    job.filing_needed = filings_started_;
  }
  reads_waiting_.push_back(&job);
  start_reads();
}

void Lane::start_reads() {
  while (!reads_waiting_.empty() && reads_waiting_.front()->filing_needed <= filings_done_) {
    ReadJob& job = *reads_waiting_.front();
    reads_waiting_.pop_front();
    if (job.slice + 1 < job.slice_count) {
      return_read(job);
    } else {
      ++reads_running_;
      store_->read(job);
    }
  }
}

void Lane::read_done(StoreRead& read) {
  --reads_running_;
  return_read(static_cast<ReadJob&>(read));
}

void Lane::return_read(ReadJob& job) {
  if (job.slice + 1 < job.slice_count) {
    ++job.slice;
    const uint32_t core = home_core(partner_.id, job.slice, environment_.courier->core_count());
    job.receiver = (*environment_.receivers)[core].reads;
    environment_.courier->send(core, job);
    return;
  }
  if (backlog_ != nullptr) {
    job.journal_waiting = backlog_->waiting();
    job.journal_oldest_us = backlog_->oldest_us();
  }
  job.receiver = job.origin;
  environment_.courier->send(job.origin_core, job);
}

}  // namespace postback::ingest
