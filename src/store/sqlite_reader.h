// Reads one SQLite database beside its writer: on a thread and a connection of its own, which in
// WAL mode neither wait for the writer nor make it wait.
#pragma once

#include <mutex>
#include <string>

#include "store/sqlite_connection.h"
#include "store/sqlite_thread.h"

namespace postback::store {

class SqliteWriter;

class SqliteReader final : public SqliteThread {
 public:
  // `writer` gets the `leave` jobs, once the connection here is closed: so the writer's is the
  // last one, whose closing checkpoints the WAL and removes it.
  SqliteReader(const std::string& path, SqliteWriter* writer)
      : SqliteThread("sqlite-reader", kNiceness), path_(path), writer_(writer) {}
  ~SqliteReader() { stop(); }

  // Any thread; waits for the read in progress, so never called on a core. The next read opens the
  // files anew.
  void disconnect();

 private:
  // Where processors are scarce, cores and writers come first: a page of a thousand rows is some
  // milliseconds of work.
  static constexpr int kNiceness = 10;

  void serve() override;
  void answer(SqliteJob* job);
  SqliteResult read(SqliteJob* job);

  const std::string path_;
  SqliteWriter* const writer_;
  std::mutex connection_mutex_;  // Held while reading or closing.
  SqliteConnection connection_;
};

}  // namespace postback::store
