#include "journal/writer.h"

#include <pthread.h>
#include <signal.h>
#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <system_error>

#include "base/check.h"
#include "journal/record.h"

namespace postback::journal {
namespace {

using base::Result;
using base::Status;

uint64_t kernel_random() {
  uint64_t value = 0;
  // Up to 256 bytes come whole, or not at all (getrandom(2)).
  CHECK(getrandom(&value, sizeof value, 0) == static_cast<ssize_t>(sizeof value));
  return value;
}

}  // namespace

bool Append::add(const Conversion& conversion, const Owner& owner) {
  if (!append_record(conversion, owner, &records)) return false;
  ++record_count;
  return true;
}

void Append::clear() {
  records.clear();
  record_count = 0;
  result = AppendResult::pending;
  first = Position();
}

Result<std::unique_ptr<Writer>> Writer::open(WriterOptions options) {
  CHECK(options.segment_bytes >= kSegmentBytesMin && options.segment_bytes <= kSegmentBytesMax &&
        options.segment_bytes % kBlockBytes == 0);
  if (!options.random) options.random = kernel_random;
  const int made = options.disk->make_folder(options.folder);
  if (made != 0) return disk_error("make the journal's folder", options.folder, made);
  const std::string lock_path = options.folder + "/" + kLockName;
  std::unique_ptr<Lock> lock;
  const int locked = options.disk->lock(lock_path, &lock);
  if (locked == -EWOULDBLOCK) {
    return Status::error("the journal " + options.folder +
                         " is in use by another process; stop it, or give this one another "
                         "DATA_DIR");
  }
  if (locked != 0) return disk_error("lock", lock_path, locked);
  Result<Recovered> recovered = recover(options.disk, options.folder);
  if (!recovered.ok()) return recovered.status();
  std::unique_ptr<Writer> writer(new Writer(std::move(options), std::move(lock), recovered.take()));
  const Status started = writer->start();
  if (!started.ok()) return started;
  return writer;
}

Writer::Writer(WriterOptions options, std::unique_ptr<Lock> lock, Recovered recovered)
    : options_(std::move(options)),
      lock_(std::move(lock)),
      recovered_(std::move(recovered)),
      next_segment_(recovered_.next_segment),
      next_lsn_(recovered_.next_lsn),
      durable_lsn_(recovered_.next_lsn - 1),
      durable_records_(recovered_.durable_records),
      sealed_(recovered_.segments) {
  for (const SegmentHeader& spare : recovered_.spares) {
    if (spare.segment_bytes == options_.segment_bytes && spare.version == kFormatVersion) {
      leftover_spares_.push_back(spare);
    } else {
      // Of another size or an older format: drained, since it is empty, so the next checkpoint
      // removes it.
      SegmentSummary empty;
      empty.number = spare.number;
      empty.bytes = spare.segment_bytes;
      sealed_.push_back(empty);
    }
  }
  status_.durable_lsn = durable_lsn_;
}

Status Writer::start() {
  // A full signal mask: signals are for other threads, and with SIGXFSZ blocked a file over
  // RLIMIT_FSIZE is an error of write() instead of death.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  Status status;
  try {
    thread_ = std::thread([this] { run(); });
  } catch (const std::system_error& error) {
    status = Status::error(std::string("the system refused a thread for the journal: ") +
                           error.what() + "; raise the limit of threads");
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return status;
}

Writer::~Writer() {
  if (!thread_.joinable()) return;
  stop_message_.receiver = this;
  mailbox_.post(stop_message_);
  thread_.join();
}

void Writer::append(Append* append) {
  append->result = AppendResult::pending;
  append->receiver = this;
  mailbox_.post(*append);
}

WriterStatus Writer::status() const {
  const std::lock_guard lock(mutex_);
  return status_;
}

std::vector<SegmentSummary> Writer::sealed_segments() const {
  const std::lock_guard lock(mutex_);
  return sealed_;
}

void Writer::forget_segments(const std::vector<uint64_t>& numbers) {
  const std::lock_guard lock(mutex_);
  std::erase_if(sealed_, [&](const SegmentSummary& segment) {
    return std::find(numbers.begin(), numbers.end(), segment.number) != numbers.end();
  });
}

void Writer::run() {
  pthread_setname_np(pthread_self(), "journal");
  while (true) {
    watch_space();
    if (queue_.empty() && !stopping_) wait();
    mailbox_.drain();
    if (!queue_.empty()) {
      commit_frame();
    } else if (stopping_) {
      break;
    }
    if (spare_wanted()) make_spare();
  }
  close();
}

// For the next message, but not for long: the space is looked at, and what was short when a segment
// was to be made (space, descriptors) may be there again, also while no postback comes.
void Writer::wait() {
  if (!spare_wanted()) mailbox_.wait_for(std::chrono::nanoseconds(kSpaceIntervalNs));
}

// So the operator is told before the first postback is refused, and when space was freed.
void Writer::watch_space() {
  const uint64_t now_ns = options_.clock->monotonic_ns();
  if (now_ns < space_watch_ns_) return;
  space_watch_ns_ = now_ns + kSpaceIntervalNs;
  std::string why;
  const bool is_enough = space_left(&why);
  {
    const std::lock_guard lock(mutex_);
    status_.space_error = why;
  }
  if (is_enough && state_ == WriterState::refusing && spare_ != nullptr) {
    set_state(WriterState::ready, "");
  }
}

void Writer::receive(Message& message) {
  if (&message == &stop_message_) {
    stopping_ = true;
    return;
  }
  auto* append = static_cast<Append*>(&message);
  if (append->records.size() > ActiveSegment::payload_bytes_max(options_.segment_bytes)) {
    answer(append, AppendResult::too_large);
  } else if (queued_bytes_ + append->records.size() > kQueuedBytesMax) {
    answer(append, AppendResult::refused);
  } else {
    queue_.push_back(append);
    queued_bytes_ += append->records.size();
  }
}

void Writer::commit_frame() {
  if (!may_write() || !have_room(queue_.front()->records.size())) {
    refuse_all(AppendResult::refused);
    return;
  }
  frame_.assign(kFrameHeaderBytes, '\0');
  FrameHeader header;
  header.lsn = next_lsn_;
  header.durable_lsn = durable_lsn_;
  header.durable_records = durable_records_;
  header.written_at_us = options_.clock->wall_us();
  const std::vector<Append*> appends = take_appends();
  for (Append* append : appends) {
    append->first = {next_lsn_, header.record_count};
    header.record_count += append->record_count;
  }
  if (header.record_count == 0) {
    for (Append* append : appends) answer(append, AppendResult::durable);
    return;
  }
  // The number of a frame that fails is never given again: the frame may be on the disk.
  const uint64_t lsn = next_lsn_++;
  {
    const std::lock_guard lock(mutex_);
    status_.writing_since_ns = options_.clock->monotonic_ns();
  }
  Status status = active_->commit(header, &frame_);
  const bool in_place = lock_->in_place();
  if (status.ok() && !in_place) {
    status = Status::error("the journal's folder " + options_.folder +
                           " was moved, removed or replaced while in use; put it back and restart");
  }
  if (!status.ok()) {
    frame_failed(appends, status, in_place);
    return;
  }
  durable_records_ += header.record_count;
  frame_done(appends, lsn);
}

// As many as fit, in order, into frame_.
std::vector<Append*> Writer::take_appends() {
  std::vector<Append*> appends;
  while (!queue_.empty()) {
    Append* append = queue_.front();
    const size_t payload = frame_.size() - kFrameHeaderBytes + append->records.size();
    if (payload > kFramePayloadBytesMax || !active_->fits(payload)) break;
    frame_.append(append->records);
    queue_.pop_front();
    queued_bytes_ -= append->records.size();
    appends.push_back(append);
  }
  CHECK(!appends.empty());
  return appends;
}

// What is prepared takes frames without new space; only another segment needs some.
bool Writer::may_write() {
  if (state_ == WriterState::failed) return false;
  if (overwrites_in_place_) return true;
  std::string why;
  if (space_left(&why)) return true;
  set_state(WriterState::refusing, why);
  return false;
}

bool Writer::space_left(std::string* why) {
  Space space;
  const int error = options_.disk->space(options_.folder, &space);
  if (error != 0) {
    *why = disk_error("read the free space of", options_.folder, error).message();
    return false;
  }
  overwrites_in_place_ = space.overwrites_in_place;
  const uint64_t least = std::max(kFreeSegmentsMin * options_.segment_bytes,
                                  space.total_bytes / 100 * kFreePercentMin);
  if (space.free_bytes >= least) return true;
  *why = "the disk of " + options_.folder + " has " + std::to_string(space.free_bytes >> 20) +
         " MiB free, the journal wants " + std::to_string(least >> 20) +
         "; free some space, or bring the partners' databases back so that it drains";
  return false;
}

// Makes sure that active_ takes a frame of this size. When no new segment can be had, the current
// one is kept: what still fits is still taken.
bool Writer::have_room(size_t payload_bytes) {
  while (active_ == nullptr || !active_->fits(payload_bytes)) {
    while (spare_ == nullptr && spare_wanted()) make_spare();
    if (spare_ == nullptr) {
      set_state(WriterState::refusing, spare_error_);
      return false;
    }
    use_spare();
  }
  if (state_ != WriterState::ready) set_state(WriterState::ready, "");
  return true;
}

void Writer::frame_done(const std::vector<Append*>& appends, uint64_t lsn) {
  durable_lsn_ = lsn;
  {
    const std::lock_guard lock(mutex_);
    status_.durable_lsn = lsn;
    status_.writing_since_ns = 0;
  }
  for (Append* append : appends) answer(append, AppendResult::durable);
}

// The segment is abandoned: after a failed sync the kernel calls its pages clean, and a second sync
// would return 0 without the data being on the disk.
void Writer::frame_failed(const std::vector<Append*>& appends, const Status& status,
                          bool in_place) {
  seal_active();
  const uint64_t now_ns = options_.clock->monotonic_ns();
  const bool again = last_failure_ns_ && now_ns - *last_failure_ns_ < kFailureWindowNs;
  last_failure_ns_ = now_ns;
  {
    const std::lock_guard lock(mutex_);
    ++status_.failed_frames;
    status_.writing_since_ns = 0;
    status_.error = status.message();
  }
  // Before the answers: who has one and asks for the state is told this one.
  if (!in_place) {
    set_state(WriterState::failed, status.message());
  } else if (again) {
    set_state(WriterState::failed, status.message() +
                                       " (the second failure within 10 s: the journal is closed "
                                       "until the server restarts; check the disk)");
  }
  for (Append* append : appends) answer(append, AppendResult::failed);
}

void Writer::refuse_all(AppendResult result) {
  while (!queue_.empty()) {
    Append* append = queue_.front();
    queue_.pop_front();
    queued_bytes_ -= append->records.size();
    answer(append, result);
  }
}

void Writer::answer(Append* append, AppendResult result) {
  append->result = result;
  append->receiver = append->reply_receiver;
  append->reply_mailbox->post(*append);
}

bool Writer::spare_wanted() const {
  if (state_ == WriterState::failed) return false;
  if (spare_ != nullptr && active_ != nullptr) return false;
  return maker_.has_value() || spare_ != nullptr ||
         options_.clock->monotonic_ns() >= spare_retry_ns_;
}

// One step towards an active segment and a spare.
void Writer::make_spare() {
  if (spare_ != nullptr) {
    use_spare();
    return;
  }
  if (!maker_.has_value()) {
    start_spare();
    return;
  }
  switch (maker_->step()) {
    case SegmentMaker::Progress::more:
      return;
    case SegmentMaker::Progress::done:
      spare_ = std::make_unique<ActiveSegment>(maker_->take_file(), maker_->header());
      // The active one was full, and there was no space for this one until now.
      if (state_ == WriterState::refusing && active_ != nullptr) {
        set_state(WriterState::ready, "");
      }
      break;
    case SegmentMaker::Progress::failed:
      spare_error_ = maker_->status().message();
      spare_retry_ns_ = options_.clock->monotonic_ns() + kSpareRetryNs;
      if (active_ == nullptr) set_state(WriterState::refusing, spare_error_);
      break;
  }
  maker_.reset();
}

// Takes a segment that an earlier process left unused, or begins a new one.
void Writer::start_spare() {
  if (!leftover_spares_.empty()) {
    const SegmentHeader header = leftover_spares_.front();
    leftover_spares_.pop_front();
    std::unique_ptr<File> file;
    const std::string path = segment_path(options_.folder, header.number);
    if (options_.disk->open(path, OpenMode::write, &file) == 0) {
      spare_ = std::make_unique<ActiveSegment>(std::move(file), header);
    }
    return;
  }
  if (!space_left(&spare_error_)) {
    spare_retry_ns_ = options_.clock->monotonic_ns() + kSpareRetryNs;
    if (active_ == nullptr) set_state(WriterState::refusing, spare_error_);
    return;
  }
  SegmentHeader header;
  header.number = next_segment_++;
  header.segment_bytes = options_.segment_bytes;
  header.salt = options_.random();
  header.created_at_us = options_.clock->wall_us();
  maker_.emplace(options_.disk, options_.folder, header);
}

void Writer::use_spare() {
  if (!spare_->has_name()) {
    spare_.reset();  // Removed by somebody, it would take no frame: another one is made.
    return;
  }
  seal_active();
  active_ = std::move(spare_);
  if (state_ == WriterState::preparing || state_ == WriterState::refusing) {
    set_state(WriterState::ready, "");
  }
}

// Closes the active segment without syncing it: each of its frames was synced, or failed.
void Writer::seal_active() {
  if (active_ == nullptr) return;
  const std::lock_guard lock(mutex_);
  sealed_.push_back(active_->summary());
  active_.reset();
}

// An empty frame that says up to where everything was acknowledged, so that damage to the last
// frame cannot be taken for a write that a crash cut off. If it fails, nothing is lost.
void Writer::close() {
  if (state_ == WriterState::failed || active_ == nullptr || active_->empty() ||
      !active_->fits(0) || !lock_->in_place()) {
    return;
  }
  FrameHeader header;
  header.lsn = next_lsn_;
  header.durable_lsn = durable_lsn_;
  header.durable_records = durable_records_;
  header.written_at_us = options_.clock->wall_us();
  frame_.assign(kFrameHeaderBytes, '\0');
  const Status closed = active_->commit(header, &frame_);
  static_cast<void>(closed);
}

void Writer::set_state(WriterState state, const std::string& error) {
  state_ = state;
  const std::lock_guard lock(mutex_);
  status_.state = state;
  if (!error.empty()) status_.error = error;
}

}  // namespace postback::journal
