#include "partner/control_watch.h"

#include <cstdlib>
#include <utility>

#include "partner/control_schema.h"

namespace postback::partner {

using base::Result;
using base::Status;

ControlWatch::ControlWatch(DatabaseHome home) : home_(std::move(home)) {}

Status ControlWatch::open() {
  if (!created_) {
    Result<std::unique_ptr<SqlClient>> writer = SqlClient::open(home_.control_url, SqlMode::create);
    if (!writer.ok()) return writer.status();
    const Status status = create_control_schema(writer.value().get());
    if (!status.ok()) return status;
    created_ = true;
  }
  // From here on the server only reads.
  Result<std::unique_ptr<SqlClient>> reader = SqlClient::open(home_.control_url, SqlMode::read);
  if (!reader.ok()) return reader.status();
  client_ = reader.take();
  token_.clear();
  return Status();
}

// Text that differs whenever another connection, of this process or any other, has changed the
// rows; it may differ although they are the same.
Result<std::string> ControlWatch::change_token() {
  // data_version counts the commits of others to the file, as seen by this connection.
  const char* sql = client_->kind() == base::DatabaseKind::sqlite
                        ? "PRAGMA data_version"
                        : "SELECT count(*) || ' ' || coalesce(md5(string_agg(p::text, chr(10) "
                          "ORDER BY id)), '') || ' ' || "
                          "(SELECT string_agg(registry_id, ' ') FROM postback_registry) || ' ' || "
                          "coalesce((SELECT md5(string_agg(i::text, chr(10) ORDER BY partner_code))"
                          " FROM partner_ids i), ''), (extract(epoch FROM clock_timestamp()) * "
                          "1000000)::int8 FROM partners p";
  Result<SqlResult> result = client_->query(sql);
  if (!result.ok()) return result.status();
  CHECK(result.value().rows.size() == 1);
  const SqlRow& row = result.value().rows[0];
  if (row.size() > 1) {
    database_time_us_ = std::strtoll(row[1].value_or("0").c_str(), nullptr, 10);
  }
  return "v" + row[0].value_or("");
}

Result<std::optional<Partners>> ControlWatch::look(bool force) {
  if (client_ != nullptr && client_->broken()) client_.reset();
  if (client_ == nullptr) {
    const Status status = open();
    if (!status.ok()) return status;
  }
  // The token first: a change between the two is found again at the next look.
  Result<std::string> token = change_token();
  if (!token.ok()) {
    client_.reset();
    return token.status();
  }
  if (!force && token.value() == token_) return std::optional<Partners>();
  Result<Partners> rows = load_partners(client_.get(), home_);
  if (!rows.ok()) {
    client_.reset();
    return rows.status();
  }
  token_ = token.take();
  return std::optional<Partners>(rows.take());
}

}  // namespace postback::partner
