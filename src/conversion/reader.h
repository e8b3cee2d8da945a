// From the parts of an HTTP request to one flat Conversion: decodes query, form and JSON, maps
// names, checks values. A pure function over bytes with reusable scratch memory: one reader per
// core, no allocation per postback in steady state beyond what simdjson and the date library make.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "conversion/mapping.h"
#include "postback/conversion.h"
#include "postback/header.h"

namespace postback::conversion {

// Borrowed for the duration of read().
struct RawPostback {
  std::string_view method;  // "GET" or "POST".
  std::string_view target;
  std::string_view query;
  std::string_view content_type;  // Empty when absent.
  std::string_view body;
  std::span<const Header> headers;
  // What the headers were read from: equal ones have equal headers. Empty: not known.
  std::string_view header_section;
  std::string_view request_ip;
  int64_t received_at_us = 0;
};

// A mapping that applied, for the step log: `sub_id -> aff_sub = test123`.
struct MappedStep {
  std::string_view name;          // Left.
  std::string_view partner_name;  // Right.
  std::string_view value;
};

class Reader {
 public:
  Reader();
  ~Reader();
  // Fills *out (cleared first), all but `id`. Returns out->reason: none for a conversion; otherwise
  // *out is a quarantine row with fault_field (where one is at fault), fault_message, method,
  // target, headers, ip, body, raw_data (as far as parameters could be read) and, if it could be
  // read as valid text, conversion_id.
  Reason read(const Mapping& mapping, const RawPostback& raw, Conversion* out);
  // The mappings that applied in the last read(), whose mapping and request still exist; valid
  // until the next. Only the step log asks, so they are collected when it does.
  std::span<const MappedStep> steps() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace postback::conversion
