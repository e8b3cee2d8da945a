// One SQLite database file of this process: its two threads. See sqlite_databases.h.
#pragma once

#include <string>

#include "store/sqlite_reader.h"
#include "store/sqlite_writer.h"

namespace postback::store {

class SqliteDatabase {
 public:
  explicit SqliteDatabase(const std::string& path)
      : reader_(path, &writer_), writer_(path, &reader_) {}

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
  SqliteReader reader_;
  SqliteWriter writer_;
};

}  // namespace postback::store
