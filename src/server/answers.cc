#include "server/answers.h"

#include <algorithm>

#include "base/digits.h"
#include "base/json_writer.h"
#include "base/time.h"

namespace postback::server {
namespace {

using base::append_integer;
using base::append_iso8601;
using base::append_json_name;
using base::append_json_string;
using base::json_string_bytes_max;
using base::put;
using base::put_integer;
using base::put_json_string;

void append_text_member(std::string* out, std::string_view name, std::string_view text) {
  append_json_name(out, name);
  append_json_string(out, text);
}

void append_optional_text(std::string* out, std::string_view name,
                          const std::optional<std::string>& text) {
  out->push_back(',');
  append_json_name(out, name);
  if (text) {
    append_json_string(out, *text);
  } else {
    out->append("null");
  }
}

char* put_milliseconds(char* to, uint64_t microseconds) {
  to = put_integer(to, static_cast<int64_t>(microseconds / 1000));
  const uint64_t rest = microseconds % 1000;
  // The last digit is written in any case, and does not always count.
  to = base::put_digit_pair(put(to, '.'), rest / 10);
  return put(to, static_cast<char>('0' + rest % 10)) - (microseconds < 1000 ? 0 : 1);
}

// What an answer to a postback consists of, written at a place that has room for all of it. Absent
// values are null.
// `label`: a comma, the name in quotes, a colon. Inlined, so that it is copied as the literal that
// it is.
[[gnu::always_inline]] inline char* put_field(char* to, std::string_view label,
                                              const Conversion& conversion, Field field) {
  to = put(to, label);
  return conversion.has(field) ? put_json_string(to, conversion.text(field)) : put(to, "null");
}

[[gnu::always_inline]] inline char* put_amount(char* to, std::string_view label,
                                               const std::optional<Decimal>& amount) {
  to = put(to, label);
  return amount ? amount->write_to(to) : put(to, "null");
}

size_t answered_text_bytes(const Conversion& conversion) {
  size_t bytes = 0;
  for (const Field field : {Field::conversion_id, Field::offer_name, Field::media_id, Field::sub_id,
                            Field::click_id, Field::processing_error}) {
    bytes += conversion.text(field).size();
  }
  return bytes;
}

// Text that a database returned for an exact decimal: it is a JSON number as it stands.
void append_stored_amount(std::string* out, std::string_view name,
                          const std::optional<std::string>& amount) {
  out->push_back(',');
  append_json_name(out, name);
  out->append(amount ? std::string_view(*amount) : std::string_view("null"));
}

void append_time(std::string* out, std::string_view name, const std::optional<int64_t>& time_us) {
  out->push_back(',');
  append_json_name(out, name);
  if (!time_us) {
    out->append("null");
    return;
  }
  out->push_back('"');
  append_iso8601(out, *time_us);
  out->push_back('"');
}

void append_bool(std::string* out, std::string_view name, bool value) {
  out->push_back(',');
  append_json_name(out, name);
  out->append(value ? "true" : "false");
}

void append_error_object(std::string* out, std::string_view code, std::string_view message,
                         std::string_view field) {
  out->append("\"error\":{");
  append_text_member(out, "code", code);
  out->push_back(',');
  append_text_member(out, "message", message);
  if (!field.empty()) {
    out->push_back(',');
    append_text_member(out, "field", field);
  }
  out->push_back('}');
}

void append_partner_head(std::string* out, const Partner& partner) {
  out->push_back('{');
  append_text_member(out, "partner", partner.partner_name);
  out->push_back(',');
  append_text_member(out, "endpoint", partner.endpoint_path);
}

}  // namespace

void append_milliseconds(std::string* out, uint64_t microseconds) {
  constexpr size_t kBytesMax = base::kIntegerBytesMax + 4;  // ".999" behind the integer.
  base::append_with(out, kBytesMax,
                    [microseconds](char* to) { return put_milliseconds(to, microseconds); });
}

void append_error(std::string* out, std::string_view code, std::string_view message,
                  std::string_view field) {
  out->append("{\"status\":\"error\",");
  append_error_object(out, code, message, field);
  out->push_back('}');
}

namespace {

// What tells the answers apart for which a conversion was taken.
struct TakenWords {
  std::string_view start;
  std::string_view end;
};
constexpr TakenWords kSuccess = {R"({"status":"success","partner":)",
                                 R"(,"message":"Conversion processed successfully"})"};
constexpr TakenWords kAccepted = {
    R"({"status":"accepted","partner":)",
    R"(,"message":"Conversion accepted; it is stored as soon as the database is back"})"};

void append_taken(base::TextBuffer* out, const TakenWords& words, std::string_view partner_json,
                  const Conversion& conversion, uint64_t processing_time_us) {
  // The answer's own words (330 bytes), its numbers (at most 140) and the texts' quotes.
  constexpr size_t kOwnBytesMax = 768;
  char* to = out->open(kOwnBytesMax + partner_json.size() +
                       json_string_bytes_max(answered_text_bytes(conversion)));
  to = put(put(to, words.start), partner_json);
  to = put_integer(put(to, ",\"conversion\":{\"id\":"), conversion.id);
  to = put_field(to, ",\"conversion_id\":", conversion, Field::conversion_id);
  to = put_field(to, ",\"offer_name\":", conversion, Field::offer_name);
  to = put_amount(to, ",\"usd_sale_amount\":", conversion.usd_sale_amount);
  to = put_amount(to, ",\"usd_earning\":", conversion.usd_earning);
  to = put_field(to, ",\"media_id\":", conversion, Field::media_id);
  to = put_field(to, ",\"sub_id\":", conversion, Field::sub_id);
  to = put_field(to, ",\"click_id\":", conversion, Field::click_id);
  if (conversion.has(Field::processing_error)) {
    to = put_field(to, ",\"processing_error\":", conversion, Field::processing_error);
  }
  to = put_milliseconds(put(to, "},\"processing_time_ms\":"), processing_time_us);
  out->close(put(to, words.end));
}

}  // namespace

void append_success(base::TextBuffer* out, std::string_view partner_json,
                    const Conversion& conversion, uint64_t processing_time_us) {
  append_taken(out, kSuccess, partner_json, conversion, processing_time_us);
}

void append_accepted(base::TextBuffer* out, std::string_view partner_json,
                     const Conversion& conversion, uint64_t processing_time_us) {
  append_taken(out, kAccepted, partner_json, conversion, processing_time_us);
}

void append_duplicate(base::TextBuffer* out, const Partner& partner, const Conversion& conversion) {
  constexpr size_t kOwnBytesMax = 128;
  const size_t text_bytes =
      partner.partner_name.size() + conversion.text(Field::conversion_id).size();
  char* to = out->open(kOwnBytesMax + json_string_bytes_max(text_bytes));
  to = put_json_string(put(to, "{\"status\":\"duplicate\",\"partner\":"), partner.partner_name);
  to = put_field(to, ",\"conversion_id\":", conversion, Field::conversion_id);
  out->close(put(to, ",\"message\":\"Duplicate conversion detected\"}"));
}

void append_quarantined(std::string* out, const Partner& partner, const Conversion& conversion) {
  out->append("{\"status\":\"quarantined\",");
  append_text_member(out, "partner", partner.partner_name);
  out->append(",\"quarantine_id\":");
  append_integer(out, conversion.id);
  out->push_back(',');
  append_error_object(out, reason_name(conversion.reason), conversion.text(Field::fault_message),
                      conversion.text(Field::fault_field));
  out->push_back('}');
}

void append_stats(std::string* out, const Partner& partner, int64_t hours,
                  const ingest::ReadJob& job, int64_t now_us) {
  const StoreStats& stats = job.stats;
  append_partner_head(out, partner);
  out->append(",\"stats\":{\"hours\":");
  append_integer(out, hours);
  append_time(out, "since", base::minute_floor_us(job.since_us));
  out->append(",\"total_conversions\":");
  append_integer(out, stats.conversion_count);
  out->append(",\"duplicate_conversions\":");
  append_integer(out, stats.duplicate_count);
  out->append(",\"quarantined\":");
  append_integer(out, stats.quarantined_count);
  out->append(",\"total_sale_amount\":");
  stats.sale_amount.append_to(out);
  out->append(",\"total_earning\":");
  stats.earning.append_to(out);
  append_time(out, "first_conversion_at", stats.first_conversion_at_us);
  append_time(out, "last_conversion_at", stats.last_conversion_at_us);
  out->append(",\"p50_ms\":");
  append_milliseconds(out, job.latency_us.quantile(0.5));
  out->append(",\"p99_ms\":");
  append_milliseconds(out, job.latency_us.quantile(0.99));
  // What was accepted and is not among the counts above yet.
  out->append(",\"journal_waiting\":");
  append_integer(out, static_cast<int64_t>(job.journal_waiting));
  out->append(",\"journal_oldest_s\":");
  append_integer(out, job.journal_oldest_us == 0
                          ? 0
                          : std::max<int64_t>(0, now_us - job.journal_oldest_us) / 1'000'000);
  out->append("}}");
}

void append_conversions(std::string* out, const Partner& partner, const ingest::ReadJob& job) {
  append_partner_head(out, partner);
  out->append(",\"conversions\":[");
  bool first = true;
  for (const StoredConversion& row : job.conversions) {
    if (!first) out->push_back(',');
    first = false;
    out->append("{\"id\":");
    append_integer(out, row.id);
    out->push_back(',');
    append_text_member(out, "conversion_id", row.conversion_id);
    append_optional_text(out, "offer_id", row.offer_id);
    append_optional_text(out, "offer_name", row.offer_name);
    append_time(out, "conversion_datetime", row.conversion_datetime_us);
    append_stored_amount(out, "usd_sale_amount", row.usd_sale_amount);
    append_stored_amount(out, "usd_earning", row.usd_earning);
    append_optional_text(out, "media_id", row.media_id);
    append_optional_text(out, "sub_id", row.sub_id);
    append_optional_text(out, "click_id", row.click_id);
    append_bool(out, "is_processed", row.is_processed);
    append_bool(out, "is_duplicate", row.is_duplicate);
    append_optional_text(out, "processing_error", row.processing_error);
    out->append(",\"raw_data\":");
    out->append(row.raw_data ? std::string_view(*row.raw_data) : std::string_view("null"));
    append_time(out, "received_at", row.received_at_us);
    out->push_back('}');
  }
  // The cursor is text: a 64-bit number would not survive clients that read numbers as doubles.
  out->append("],\"next_cursor\":");
  if (job.more && !job.conversions.empty()) {
    out->push_back('"');
    append_integer(out, job.conversions.back().id);
    out->push_back('"');
  } else {
    out->append("null");
  }
  out->push_back('}');
}

}  // namespace postback::server
