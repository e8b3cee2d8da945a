#include "quarantine_replay.h"

#include <simdjson.h>

#include <optional>

#include "conversion/ascii.h"
#include "postback/reason.h"
#include "store/sqlite_text.h"

namespace postback::postbackctl {
namespace {

using base::Result;

// The Content-Type as the column request_headers has it, empty when there is none.
std::string content_type_of(const std::optional<std::string>& request_headers) {
  simdjson::dom::parser parser;
  simdjson::dom::object headers;
  if (!request_headers.has_value() || parser.parse(*request_headers).get(headers) != 0) return "";
  for (const auto& [name, value] : headers) {
    std::string_view text;
    if (conversion::equals_ignoring_case(name, "content-type") && value.get(text) == 0) {
      return std::string(text);
    }
  }
  return "";
}

}  // namespace

Result<std::unique_ptr<QuarantineReplay>> QuarantineReplay::make(const Partner& partner) {
  auto mapping = conversion::Mapping::compile(partner);
  if (!mapping.ok()) return mapping.status();
  std::unique_ptr<QuarantineReplay> replay(new QuarantineReplay);
  replay->mapping_ = mapping.take();
  return replay;
}

// What a row of reason database_refused holds (Lane::quarantine_refused_row in ingest/lane.cc): no
// raw_data and no headers; body has the postback's body, or its raw data where there was none; and
// where it was a conversion until the database refused it, no method and no target either. Then its
// raw data is read as a JSON body, which has the same names and values. (Of a name that came with
// several values the list is read as one value: a column that cannot hold it stays empty with a
// note, and an amount that cannot keeps the row in quarantine.)
std::string QuarantineReplay::replay(const QuarantineRow& row, Conversion* out) {
  const bool refused = row.reason == reason_name(Reason::database_refused);
  const bool only_raw_data = refused && !row.method.has_value();
  conversion::RawPostback raw;
  if (!store::parse_time_text(row.received_at, &raw.received_at_us)) return kRowUnreadable;
  if (only_raw_data ? !row.body.has_value() : !row.method.has_value() || !row.target.has_value()) {
    return kRowUnreadable;
  }
  std::string content_type = content_type_of(row.request_headers);
  if (only_raw_data) {
    content_type = "application/json";
    raw.method = "POST";
  } else {
    raw.method = *row.method;
    raw.target = *row.target;
    const size_t question_mark = raw.target.find('?');
    if (question_mark != std::string_view::npos) raw.query = raw.target.substr(question_mark + 1);
  }
  raw.content_type = content_type;
  if (row.body.has_value()) raw.body = *row.body;
  if (row.request_ip.has_value()) raw.request_ip = *row.request_ip;

  const Reason reason = reader_.read(*mapping_, raw, out);
  if (reason != Reason::none) return std::string(reason_name(reason));
  out->id = row.id;
  out->unset(Field::request_headers);
  if (row.request_headers.has_value()) out->set(Field::request_headers, *row.request_headers);
  if (only_raw_data) out->set(Field::raw_data, *row.body);
  return "";
}

}  // namespace postback::postbackctl
