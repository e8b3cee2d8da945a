#include "store/sqlite_reader.h"

#include "store/sqlite_queries.h"
#include "store/sqlite_writer.h"

namespace postback::store {

void SqliteReader::serve() {
  SqliteJob* job = waiting().front();
  waiting().pop_front();
  if (job->kind == SqliteJob::Kind::leave) {
    // Other stores of the file that still read connect again, at the price of a millisecond.
    disconnect();
    writer_->post(job);
    return;
  }
  answer(job);
  reply(job);
}

void SqliteReader::disconnect() {
  const std::lock_guard lock(connection_mutex_);
  connection_.close();
}

void SqliteReader::answer(SqliteJob* job) {
  const std::lock_guard lock(connection_mutex_);
  job->result = read(job);
  if (job->result == SqliteResult::ok) return;
  job->error = connection_.error();
  // After an error nothing is assumed about the connection; the next read makes a new one.
  connection_.close();
}

SqliteResult SqliteReader::read(SqliteJob* job) {
  // A file that was replaced under the connection would answer from the past.
  if (connection_.is_open() && connection_.files_moved()) connection_.close();
  connection_.set_busy_until(job->give_up_at_ns);
  connection_.set_give_up_at(job->give_up_at_ns);
  if (!connection_.is_open()) {
    const SqliteResult result = connection_.open(path_, SqliteConnection::Role::reader);
    if (result != SqliteResult::ok) return result;
    connection_.remember_files();
  }
  switch (job->read->kind) {
    case StoreRead::Kind::stats:
      return query_stats(&connection_, job->read);
    case StoreRead::Kind::conversions:
      return query_conversions(&connection_, job->read);
  }
  return SqliteResult::ok;
}

}  // namespace postback::store
