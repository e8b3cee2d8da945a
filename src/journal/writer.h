// Makes records durable: group commit on a thread of its own. An append is a message; it comes back
// through its sender's mailbox as durable, or not. One frame is written and synced at a time;
// appends that come meanwhile form the next one. There is no timer: alone, an append goes at once.
//
// A spare segment is made by the same thread, a slice after each frame and the rest when idle: a
// segment is needed once per 64 MiB, so a second thread would buy little, and with one thread the
// order of all disk operations is one that tests can repeat exactly. If a segment fills up before
// its spare is ready, the appends wait until it is.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/status.h"
#include "base/time.h"
#include "io/mailbox.h"
#include "journal/active_segment.h"
#include "journal/disk.h"
#include "journal/limits.h"
#include "journal/recovery.h"
#include "journal/segment_maker.h"
#include "postback/conversion.h"
#include "postback/message.h"

namespace postback::journal {

enum class AppendResult : uint8_t {
  pending,
  durable,    // On the disk: written in full, and fdatasync returned 0.
  failed,     // Not known to be durable.
  refused,    // Not written: the disk is nearly full, the journal failed, or too much waits.
  too_large,  // Not written: no frame would hold it. Send it in smaller parts.
};

// Records that become durable together. Made and reused by its sender; belongs to the writer from
// append() until it comes back.
struct Append : Message {
  std::string records;  // One behind the other, as append_record() writes them.
  uint32_t record_count = 0;
  AppendResult result = AppendResult::pending;
  Position first;  // When durable: of its first record; the others follow in the same frame.
  // Where it comes back to; both live until it has.
  io::Mailbox* reply_mailbox = nullptr;
  MessageReceiver* reply_receiver = nullptr;

  // False, and nothing added, when the record is larger than any record may be.
  [[nodiscard]] bool add(const Conversion& conversion);
  void clear();
};

enum class WriterState : uint8_t {
  preparing,  // Its first segment is being made; appends wait.
  ready,
  refusing,  // The disk is nearly full, or no segment can be made. Looked at again by each append.
  failed,    // Two frames failed within 10 s, or the folder was replaced: until opened anew.
};

struct WriterStatus {
  WriterState state = WriterState::preparing;
  std::string error;  // Why refusing or failed; or the last failure.
  uint64_t durable_lsn = 0;
  uint64_t failed_frames = 0;
  // Monotonic time at which the frame being written was begun; 0: none. A disk that hangs shows
  // here.
  uint64_t writing_since_ns = 0;
};

struct WriterOptions {
  Disk* disk = &real_disk();
  const base::Clock* clock = &base::system_clock();
  std::string folder;  // DATA_DIR/journal; made if missing.
  uint64_t segment_bytes = kSegmentBytesDefault;
  std::function<uint64_t()> random;  // For salts; empty: the kernel's.
};

class Writer final : private MessageReceiver {
 public:
  // Takes the folder's lock, recovers it and starts the thread. Blocks as long as reading the
  // journal takes. Errors say what the operator can do; the server then runs without a journal.
  static base::Result<std::unique_ptr<Writer>> open(WriterOptions options);
  // Serves what was appended before, writes a closing frame, joins. Waits as long as the disk does.
  ~Writer();
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  // Any thread. An append without records asks whether one with records would be taken: it comes
  // back durable, and nothing is written.
  void append(Append* append);

  WriterStatus status() const;                               // Any thread; holds a lock for a copy.
  const Recovered& recovered() const { return recovered_; }  // Any thread; does not change.

  // Any thread: segments that take no more frames, recovered ones included, ascending: what
  // commit_checkpoint() may remove. And what it removed, so that it is not named again.
  std::vector<SegmentSummary> sealed_segments() const;
  void forget_segments(const std::vector<uint64_t>& numbers);

 private:
  Writer(WriterOptions options, std::unique_ptr<Lock> lock, Recovered recovered);
  base::Status start();
  void run();
  void wait();
  void receive(Message& message) override;

  void commit_frame();
  std::vector<Append*> take_appends();
  bool may_write();
  bool space_left(std::string* why);
  bool have_room(size_t payload_bytes);
  void frame_done(const std::vector<Append*>& appends, uint64_t lsn);
  // `in_place`: the folder is still the one that was opened.
  void frame_failed(const std::vector<Append*>& appends, const base::Status& status, bool in_place);
  void refuse_all(AppendResult result);
  void answer(Append* append, AppendResult result);

  bool spare_wanted() const;
  void make_spare();
  void start_spare();
  void use_spare();
  void seal_active();
  void close();
  void set_state(WriterState state, const std::string& error);

  const WriterOptions options_;
  const std::unique_ptr<Lock> lock_;
  const Recovered recovered_;

  // The thread's own.
  std::deque<Append*> queue_;
  size_t queued_bytes_ = 0;
  bool stopping_ = false;
  WriterState state_ = WriterState::preparing;
  std::string frame_;
  std::unique_ptr<ActiveSegment> active_;
  std::unique_ptr<ActiveSegment> spare_;
  std::optional<SegmentMaker> maker_;
  std::deque<SegmentHeader> leftover_spares_;
  uint64_t spare_retry_ns_ = 0;  // Not before.
  std::string spare_error_;
  uint64_t next_segment_;
  uint64_t next_lsn_;
  uint64_t durable_lsn_;
  uint64_t durable_records_;
  std::optional<uint64_t> last_failure_ns_;

  // Shared; the mutex is held for a copy only.
  mutable std::mutex mutex_;
  WriterStatus status_;
  std::vector<SegmentSummary> sealed_;

  io::Mailbox mailbox_{nullptr};
  Message stop_message_;
  std::thread thread_;
};

}  // namespace postback::journal
