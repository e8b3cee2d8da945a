// The databases that this process has met, so that three things do not happen by themselves: a
// database that was open and is gone is not created again while somebody restores it; a primary of
// before a failover is not written to; what an operator forgets by hand (postbackctl forget) is
// forgotten here too.
//
// The highest timeline of each PostgreSQL cluster outlives the process, in DATA_DIR/databases.known
// (text; lines "timeline SYSTEM_IDENTIFIER NUMBER" and "epoch PARTNER_CODE NUMBER" behind a first
// line with the version). A thread of its own writes the file when something changed, for a core
// must not wait for a disk.
//
// Owner: Services. Outlives every store. Any thread; asked when a connection is made, never while
// rows flow.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "base/status.h"
#include "store/database_identity.h"

namespace postback::store {

class KnownDatabases;

class KnownDatabase {
 public:
  KnownDatabase(KnownDatabases* all, std::string name) : all_(all), name_(std::move(name)) {}
  KnownDatabase(const KnownDatabase&) = delete;
  KnownDatabase& operator=(const KnownDatabase&) = delete;

  // Whether this process has had it open; if so, nobody but an operator makes it anew.
  bool was_open() const { return was_open_.load(std::memory_order_acquire); }
  void note_open() { was_open_.store(true, std::memory_order_release); }
  // For each connection: an error when it must not be used, because the cluster has been seen on a
  // higher timeline. The highest one is remembered.
  base::Status meet(const DatabaseIdentity& identity);
  // Why the database is not made anew, and what the operator can do.
  std::string gone_text(const std::string& what) const;

 private:
  friend class KnownDatabases;

  KnownDatabases* const all_;
  const std::string name_;  // Without secrets.
  std::atomic<bool> was_open_{false};
  bool accepts_lower_timeline_ = false;  // Under the mutex of all_, until the next meeting.
};

class KnownDatabases {
 public:
  KnownDatabases() = default;
  ~KnownDatabases();  // Writes what is not written yet; joins.
  KnownDatabases(const KnownDatabases&) = delete;
  KnownDatabases& operator=(const KnownDatabases&) = delete;

  // Reads what an earlier process has kept in `data_dir`, and keeps it there from now on. Without
  // this call nothing outlives the process. Before any store is made; blocks. An error: the file is
  // there and cannot be read, so what it held is not known.
  base::Status keep_in(const std::string& data_dir);

  // The database `name`, as `partner_code` ("": nobody) comes to it. `memory_epoch` is the
  // partner's: one that is higher than before is an operator's word that what was known of its
  // database counts no more.
  KnownDatabase& at(const std::string& name, const std::string& partner_code, int64_t memory_epoch);

 private:
  friend class KnownDatabase;

  void save();  // Under mutex_.
  std::string text() const;
  base::Status parse(const std::string& text);
  void run();

  std::mutex mutex_;  // Guards what follows.
  std::condition_variable changed_;
  std::map<std::string, std::unique_ptr<KnownDatabase>> databases_;
  std::map<std::string, uint32_t> timelines_;  // The highest, by system identifier.
  std::map<std::string, int64_t> epochs_;      // By partner code.
  std::string path_;                           // Empty: nothing is kept.
  bool unsaved_ = false;
  bool stopping_ = false;
  std::thread thread_;  // Started by the first change.
};

}  // namespace postback::store
