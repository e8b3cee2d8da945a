// The one writer of a SQLite database: a thread with the only connection that writes to the file
// or checkpoints it; while it is open, other processes are locked out (sqlite_lock.h). Batches that
// wait for it at the same moment, from one lane or several, are committed together: the fsync of a
// commit costs far more than the rows.
//
// A file that is not the one of before counts in identity_changes of the answers; one that this
// process has had open is not made anew when it is gone (known_databases.h).
//
// States: closed --first job of a user--> open --last user left, or a failure--> closed.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "store/database_identity.h"
#include "store/known_databases.h"
#include "store/partner_claim.h"
#include "store/sqlite_connection.h"
#include "store/sqlite_inserter.h"
#include "store/sqlite_lock.h"
#include "store/sqlite_thread.h"

namespace postback::store {

class SqliteReader;

class SqliteWriter final : public SqliteThread {
 public:
  // `reader` of the same database outlives the last job, and `known` the writer.
  SqliteWriter(const std::string& path, SqliteReader* reader, KnownDatabase* known)
      : SqliteThread("sqlite-writer"), path_(path), reader_(reader), known_(known) {}
  ~SqliteWriter() { stop(); }

 private:
  void serve() override;
  void idle() override { checkpoint_if_over(kCheckpointPagesIdle); }

  void take_group(std::vector<SqliteJob*>* group);
  SqliteResult commit(std::span<SqliteJob* const> group);
  SqliteResult write_transaction(std::span<SqliteJob* const> group);
  SqliteResult open();
  SqliteResult open_files();
  SqliteResult open_database();
  void found_gone();
  void recognise(const std::string& incarnation);
  void refuse_strangers(std::vector<SqliteJob*>* group);
  void count_user(SqliteJob* job);
  void leave(SqliteJob* job);
  void finish(std::span<SqliteJob* const> group, SqliteResult result);
  void fail_waiting(SqliteResult result);
  void close_connection();
  void checkpoint_if_over(int new_page_count);

  // Where a checkpoint is worth its two fsyncs: after 4 MiB of WAL (SQLite's own choice) when
  // nobody waits, and after 32 MiB under load, where it delays the next commit; each page then
  // goes to the database file once for the many times it was written to the WAL.
  static constexpr int kCheckpointPagesIdle = 1000;
  static constexpr int kCheckpointPagesLoaded = 8192;
  static constexpr int kWalPagesLarge = 8 * kCheckpointPagesLoaded;  // 256 MiB.
  // Bounds the time to a group's commit to some 100 ms, so that time limits are about the disk.
  static constexpr size_t kRowsPerTransactionMax = 16384;

  const std::string path_;
  SqliteReader* const reader_;
  KnownDatabase* const known_;
  SqliteLock lock_;  // Held while the connection is open, and released after it is closed.
  SqliteConnection connection_;
  SqliteInserter inserter_;
  std::vector<SqliteJob*> group_;           // Being served.
  std::map<int32_t, PartnerClaim> claims_;  // Checked since the database was opened.
  DatabaseIdentity identity_;               // As met last.
  uint32_t openings_ = 0;
  uint32_t identity_changes_ = 0;
  int user_count_ = 0;
  int checkpointed_at_pages_ = 0;  // The size of the WAL at the last checkpoint of it.
};

}  // namespace postback::store
