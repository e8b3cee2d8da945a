// The SQLite databases of this process: for each file one thread that writes and one that reads,
// shared by all lanes whose rows go there. There must never be two: SQLite 3.7.0 to 3.51.2 can
// lose a WAL reset when two connections write or checkpoint the same file ("WAL-reset bug").
// Other processes are kept out by SqliteLock.
//
// Owner: Services. Outlives every SQLite store. Any thread.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace postback::store {

class KnownDatabases;
class SqliteDatabase;

class SqliteDatabases {
 public:
  explicit SqliteDatabases(KnownDatabases* known);  // It outlives this object.
  // All stores are closed by then. Joins the threads.
  ~SqliteDatabases();
  SqliteDatabases(const SqliteDatabases&) = delete;
  SqliteDatabases& operator=(const SqliteDatabases&) = delete;

  // The database of the file at `path`, the same object for every spelling of the path. Neither
  // opens the file nor starts a thread. Valid as long as this object: who uses a database is
  // counted by the database itself, which closes the file when its last user leaves and opens it
  // again for the next one, so the entry (and two parked threads) stays, one per file ever named.
  SqliteDatabase& at(const std::string& path);

 private:
  KnownDatabases* const known_;
  std::mutex mutex_;  // Taken when a store is made, never while rows flow.
  std::map<std::string, std::unique_ptr<SqliteDatabase>> databases_;  // By canonical path.
};

}  // namespace postback::store
