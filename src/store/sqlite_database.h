// One SQLite database file of this process: its two threads. See sqlite_databases.h.
#pragma once

#include <string>

#include "store/sqlite_reader.h"
#include "store/sqlite_writer.h"

namespace postback::store {

class SqliteDatabase {
 public:
  // `known`: what this process knows of the file; outlives the database.
  SqliteDatabase(const std::string& path, KnownDatabase* known)
      : path_(path), reader_(path, &writer_), writer_(path, &reader_, known) {}

  const std::string& path() const { return path_; }

  // Any thread. Jobs come back through their reply mailbox, writes of one store in order.
  void post(SqliteJob* job) {
    // `leave` passes the reader, if there is one, so that the reader closes before the writer.
    const bool for_reader = job->kind == SqliteJob::Kind::read ||
                            (job->kind == SqliteJob::Kind::leave && reader_.started());
    if (for_reader) {
      reader_.post(job);
    } else {
      writer_.post(job);
    }
  }

 private:
  const std::string path_;
  SqliteReader reader_;
  SqliteWriter writer_;
};

}  // namespace postback::store
