// Looks at the control database for the registry: is it there, did `partners` change, and the rows
// when it did. Blocking; owned and used by one thread at a time.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "partner/partner_rows.h"
#include "partner/sql_client.h"

namespace postback::partner {

class ControlWatch {
 public:
  explicit ControlWatch(DatabaseHome home);

  // The rows, when they may have changed since the last successful look (or `force`); nullopt when
  // they did not. The first success also creates the database and its table if missing; later a
  // database that vanished is an error: an empty one in its place would remove every partner.
  base::Result<std::optional<Partners>> look(bool force);
  // What the clock of the database's server said at the last successful look: none for SQLite,
  // whose clock is our own.
  std::optional<int64_t> database_time_us() const { return database_time_us_; }

 private:
  base::Status open();
  base::Result<std::string> change_token();

  DatabaseHome home_;
  std::unique_ptr<SqlClient> client_;
  bool created_ = false;
  std::optional<int64_t> database_time_us_;
  std::string token_;  // Of the rows last handed out; empty: none.
};

}  // namespace postback::partner
