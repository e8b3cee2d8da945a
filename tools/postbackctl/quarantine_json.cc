#include "quarantine_json.h"

#include <simdjson.h>

#include <optional>

#include "base/check.h"
#include "base/json_writer.h"
#include "base/utf8.h"

namespace postback::postbackctl {
namespace {

void append_text_member(std::string* out, const char* name,
                        const std::optional<std::string>& value) {
  out->push_back(',');
  base::append_json_name(out, name);
  if (value.has_value()) {
    base::append_json_string(out, *value);
  } else {
    out->append("null");
  }
}

// JSON of ours in the database: as it is, when it is whole; otherwise as a text.
void append_json_member(std::string* out, const char* name,
                        const std::optional<std::string>& value) {
  simdjson::dom::parser parser;
  if (!value.has_value() || parser.parse(*value).error() != simdjson::SUCCESS) {
    append_text_member(out, name, value);
    return;
  }
  out->push_back(',');
  base::append_json_name(out, name);
  if (value->find_first_of("\r\n") == std::string::npos) {
    out->append(*value);
    return;
  }
  // Written by hand: on one line, with every value as it is.
  std::string line(value->size(), '\0');
  size_t size = 0;
  CHECK(simdjson::minify(value->data(), value->size(), line.data(), size) == simdjson::SUCCESS);
  out->append(line, 0, size);
}

std::string hex_of(const std::string& bytes) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string hex;
  for (const char byte : bytes) {
    const auto c = static_cast<unsigned char>(byte);
    hex += {kHex[c >> 4], kHex[c & 15]};
  }
  return hex;
}

// RFC 4648 section 4.
std::string base64_of(std::string_view bytes) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t count = std::min<size_t>(3, bytes.size() - i);
    uint32_t bits = 0;
    for (size_t k = 0; k < 3; ++k) {
      bits = bits << 8 | (k < count ? static_cast<unsigned char>(bytes[i + k]) : 0U);
    }
    for (size_t k = 0; k < 4; ++k) {
      text += k <= count ? kDigits[bits >> (18 - 6 * k) & 63] : '=';
    }
  }
  return text;
}

void append_common(std::string* json, const QuarantineRow& row) {
  append_text_member(json, "partner", row.partner_code);
  append_text_member(json, "received_at", row.received_at);
  append_text_member(json, "reason", row.reason);
  append_text_member(json, "field", row.field);
  append_text_member(json, "message", row.message);
  append_text_member(json, "conversion_id", row.conversion_id);
}

void append_request(std::string* json, const QuarantineRow& row) {
  append_text_member(json, "method", row.method);
  append_text_member(json, "target", row.target);
  append_json_member(json, "raw_data", row.raw_data);
  append_json_member(json, "request_headers", row.request_headers);
  append_text_member(json, "request_ip", row.request_ip);
}

}  // namespace

std::string row_json(const QuarantineRow& row, bool complete) {
  std::string json = "{\"id\":" + std::to_string(row.id);
  append_common(&json, row);
  if (!complete) return json + "}";
  append_request(&json, row);
  append_text_member(&json, "body", row.body);
  // A JSON text cannot hold every byte; then the bytes follow in hexadecimal.
  if (row.body.has_value() && !base::is_valid_utf8(*row.body)) {
    append_text_member(&json, "body_hex", hex_of(*row.body));
  }
  return json + "}";
}

std::string export_line(const QuarantineRow& row) {
  std::string json = "{\"id\":" + std::to_string(row.id);
  append_common(&json, row);
  append_request(&json, row);
  // Our JSON texts hold no NUL either.
  const bool is_text = !row.body.has_value() || (base::is_valid_utf8(*row.body) &&
                                                 row.body->find('\0') == std::string::npos);
  append_text_member(&json, "body", is_text ? row.body : std::nullopt);
  append_text_member(&json, "body_base64",
                     is_text ? std::nullopt : std::optional(base64_of(*row.body)));
  return json + "}\n";
}

}  // namespace postback::postbackctl
