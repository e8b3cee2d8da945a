// The JSON of every answer, by appending to a string, or, for those that postbacks get all the
// time, to a text buffer. Amounts are printed from exact decimals, never through a binary float.
// Pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/text_buffer.h"
#include "ingest/lane.h"
#include "ingest/postback.h"
#include "postback/partner.h"

namespace postback::server {

// {"status":"error","error":{"code":…,"message":…[,"field":…]}}
void append_error(std::string* out, std::string_view code, std::string_view message,
                  std::string_view field = {});

// `partner_json`: partner::PartnerEntry::answered_json.
void append_success(base::TextBuffer* out, std::string_view partner_json,
                    const Conversion& conversion, uint64_t processing_time_us);
// The same with "accepted": durable in the journal, and stored when the database is back.
void append_accepted(base::TextBuffer* out, std::string_view partner_json,
                     const Conversion& conversion, uint64_t processing_time_us);
void append_duplicate(base::TextBuffer* out, const Partner& partner, const Conversion& conversion);
// For partners with on_invalid=accept: 200 "quarantined" with the reason an error would carry.
void append_quarantined(std::string* out, const Partner& partner, const Conversion& conversion);

void append_stats(std::string* out, const Partner& partner, int64_t hours,
                  const ingest::ReadJob& job, int64_t now_us);
void append_conversions(std::string* out, const Partner& partner, const ingest::ReadJob& job);

// "1.25": milliseconds with two or, below one, three decimals.
void append_milliseconds(std::string* out, uint64_t microseconds);

}  // namespace postback::server
