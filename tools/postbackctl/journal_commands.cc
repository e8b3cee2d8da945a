// postbackctl journal …: looks into DATA_DIR/journal without the server and changes nothing. While
// the server runs, its newest frame may be half written; that shows as a torn tail.
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <map>
#include <thread>

#include "base/json_writer.h"
#include "base/time.h"
#include "base/utf8.h"
#include "journal_parts.h"
#include "journal_stuck.h"
#include "text_table.h"

namespace postback::postbackctl {
namespace {

using base::Result;
using base::Status;
using journal::Gap;
using journal::Recovered;

}  // namespace

std::string journal_folder(const Invocation& invocation) {
  return invocation.settings.data_dir + "/journal";
}

// Beside a server that drains, a segment may be deleted between being listed and being opened; then
// it is looked at again.
Result<Recovered> look_at_journal(const Invocation& invocation) {
  constexpr int kAttempts = 5;
  const std::string folder = journal_folder(invocation);
  const std::string& data_dir = invocation.settings.data_dir;
  std::vector<std::string> names;
  if (journal::real_disk().list(folder, &names) == -ENOENT) {
    if (journal::real_disk().list(data_dir, &names) != -ENOENT) return Recovered();
    return Status::error("there is no folder " + data_dir +
                         "; set DATA_DIR to the one of the server, or run this where it runs");
  }
  Result<Recovered> found = journal::survey(&journal::real_disk(), folder);
  for (int i = 1; i < kAttempts && !found.ok(); ++i) {
    found = journal::survey(&journal::real_disk(), folder);
  }
  return found;
}

namespace {

void append_member(std::string* out, const char* name, uint64_t value) {
  if (out->back() != '{') out->push_back(',');
  base::append_json_name(out, name);
  out->append(std::to_string(value));
}

void append_text_member(std::string* out, const char* name, std::string_view value) {
  if (out->back() != '{') out->push_back(',');
  base::append_json_name(out, name);
  base::append_json_string(out, value);
}

std::string gap_json(const Gap& gap) {
  std::string json = "{";
  append_member(&json, "segment", gap.segment);
  append_member(&json, "offset", gap.offset);
  append_member(&json, "bytes", gap.bytes);
  append_member(&json, "first_lsn", gap.first_lsn);
  append_member(&json, "last_lsn", gap.last_lsn);
  json += ",\"records_lost\":" + (gap.records ? std::to_string(*gap.records) : "null");
  json += std::string(",\"drained_before\":") + (gap.drained ? "true" : "false");
  append_text_member(&json, "reason", gap.reason);
  return json + "}";
}

std::string verify_json(const Recovered& found) {
  std::string json = std::string("{\"damaged\":") + (found.damaged() ? "true" : "false");
  append_member(&json, "segments", found.segments.size());
  append_member(&json, "records", found.records);
  json += ",\"gaps\":[";
  for (const Gap& gap : found.gaps) {
    if (json.back() != '[') json += ",";
    json += gap_json(gap);
  }
  json += "],\"torn_tails\":[";
  for (const journal::TornTail& torn : found.torn) {
    json += json.back() == '[' ? "{" : ",{";
    append_member(&json, "segment", torn.segment);
    append_member(&json, "offset", torn.offset);
    append_member(&json, "bytes", torn.bytes);
    json += "}";
  }
  json += "],\"segments_with_a_damaged_header_copy\":[";
  for (const uint64_t number : found.header_copies_damaged) {
    json += (json.back() == '[' ? "" : ",") + std::to_string(number);
  }
  return json + "]}\n";
}

std::string verify_text(const Recovered& found) {
  std::string text;
  for (const Gap& gap : found.gaps) text += "gap: " + journal::gap_text(gap) + "\n";
  for (const uint64_t number : found.header_copies_damaged) {
    text += "damage: segment " + std::to_string(number) +
            ": one copy of its header is damaged; nothing is lost\n";
  }
  for (const journal::TornTail& torn : found.torn) {
    text += "torn tail: segment " + std::to_string(torn.segment) + " offset " +
            std::to_string(torn.offset) + " bytes " + std::to_string(torn.bytes) +
            ": never acknowledged; the next start cuts it and keeps a copy\n";
  }
  for (const std::string& name : found.kept) text += "kept for you: " + name + "\n";
  return text + (found.damaged() ? "the journal is damaged; " : "the journal is whole; ") +
         std::to_string(found.records) + " records in " + std::to_string(found.segments.size()) +
         " segments can be read\n";
}

const char* checkpoint_text(journal::CheckpointState state) {
  switch (state) {
    case journal::CheckpointState::read:
      return "read";
    case journal::CheckpointState::missing:
      return "missing";
    case journal::CheckpointState::damaged:
      return "damaged";
  }
  return "missing";
}

// Records by whose they are over all segments.
std::map<journal::Owner, uint64_t> records_by_owner(const Recovered& found) {
  std::map<journal::Owner, uint64_t> records;
  for (const journal::SegmentSummary& segment : found.segments) {
    for (const auto& [owner, tail] : segment.partners) records[owner] += tail.records;
  }
  return records;
}

uint64_t undrained_of(const Recovered& found, const journal::Owner& owner) {
  const auto position = found.undrained_by_owner.find(owner);
  return position == found.undrained_by_owner.end() ? 0 : position->second;
}

std::string stat_json(const Recovered& found, const partner::PartnerTable* table,
                      const std::string& folder) {
  std::string json = "{";
  append_member(&json, "records", found.records);
  append_member(&json, "undrained_records", found.undrained_records);
  append_member(&json, "next_lsn", found.next_lsn);
  append_member(&json, "spare_segments", found.spares.size());
  append_text_member(&json, "checkpoint", checkpoint_text(found.checkpoint.state));
  json += std::string(",\"damaged\":") + (found.damaged() ? "true" : "false");
  json += ",\"stuck\":" + stuck_json(folder);
  json += ",\"partners\":[";
  for (const auto& [owner, records] : records_by_owner(found)) {
    json += json.back() == '[' ? "{" : ",{";
    json += "\"partner_id\":" + std::to_string(owner.partner_id);
    if (!owner.code.empty()) append_text_member(&json, "partner", journal::owner_name(owner));
    if (owner.has_registry()) {
      append_text_member(&json, "registry_id", base::uuid_text(owner.registry));
    }
    append_member(&json, "records", records);
    append_member(&json, "undrained_records", undrained_of(found, owner));
    const OwnerState state = state_of(found, owner, table);
    append_text_member(&json, "state", state.word);
    if (*state.reason != '\0') append_text_member(&json, "reason", state.reason);
    json += "}";
  }
  json += "],\"segments\":[";
  for (const journal::SegmentSummary& segment : found.segments) {
    json += json.back() == '[' ? "{" : ",{";
    append_member(&json, "number", segment.number);
    append_member(&json, "bytes", segment.bytes);
    append_member(&json, "first_lsn", segment.first_lsn);
    append_member(&json, "last_lsn", segment.last_lsn);
    append_member(&json, "records", segment.records);
    json += "}";
  }
  return json + "]}\n";
}

std::string stat_text(const Recovered& found, const partner::PartnerTable* table,
                      const std::string& folder) {
  std::string text = "records          " + std::to_string(found.records) + "\nnot drained yet  " +
                     std::to_string(found.undrained_records) + "\nspare segments   " +
                     std::to_string(found.spares.size()) + "\ncheckpoint       " +
                     checkpoint_text(found.checkpoint.state) + "\ndamaged          " +
                     (found.damaged() ? "yes; see postbackctl journal verify" : "no") + "\n";
  text += stuck_text(folder);
  if (found.segments.empty()) return text;
  TextTable partners({"PARTNER", "ID", "CONTROL DATABASE", "RECORDS", "NOT DRAINED YET", "STATE"});
  std::string held;
  for (const auto& [owner, records] : records_by_owner(found)) {
    const OwnerState state = state_of(found, owner, table);
    partners.add({journal::owner_name(owner), std::to_string(owner.partner_id),
                  owner.has_registry() ? base::uuid_text(owner.registry) : "-",
                  std::to_string(records), std::to_string(undrained_of(found, owner)),
                  state.word + (state.word == "assigned" ? " " + state.detail : "")});
    if (state.word != "held") continue;
    held += "held: " + std::to_string(undrained_of(found, owner)) + " records of " +
            journal::owner_text(owner) + ": " + state.detail + "\n";
  }
  if (!found.orders_error.empty()) held += "orders: " + found.orders_error + "\n";
  TextTable segments({"SEGMENT", "BYTES", "FIRST FRAME", "LAST FRAME", "RECORDS"});
  for (const journal::SegmentSummary& segment : found.segments) {
    segments.add({std::to_string(segment.number), std::to_string(segment.bytes),
                  std::to_string(segment.first_lsn), std::to_string(segment.last_lsn),
                  std::to_string(segment.records)});
  }
  return text + "\n" + partners.text() + held + "\n" + segments.text();
}

// A text that is not UTF-8 follows once more in hexadecimal, so that no byte is lost.
void append_field(std::string* out, const char* name, std::string_view text) {
  append_text_member(out, name, text);
  if (base::is_valid_utf8(text) && text.find('\0') == std::string_view::npos) return;
  constexpr char kHex[] = "0123456789abcdef";
  std::string hex;
  for (const char byte : text) {
    const auto c = static_cast<unsigned char>(byte);
    hex += {kHex[c >> 4], kHex[c & 15]};
  }
  append_text_member(out, (std::string(name) + "_hex").c_str(), hex);
}

// Microseconds as they are where no calendar of four-digit years holds them.
std::string time_text(int64_t time_us) {
  constexpr int64_t kYear10000Us = 253'402'300'800'000'000;
  if (time_us < 0 || time_us >= kYear10000Us) return std::to_string(time_us);
  std::string text;
  base::append_iso8601(&text, time_us);
  return text;
}

}  // namespace

std::string record_json(const journal::Reader& reader) {
  const Conversion& conversion = reader.conversion();
  // In the order of Field.
  static constexpr const char* kFields[] = {
      "conversion_id", "offer_id",         "offer_name", "media_id",        "sub_id",
      "click_id",      "processing_error", "raw_data",   "request_headers", "request_ip",
      "fault_field",   "fault_message",    "method",     "target",          "body"};
  static_assert(std::size(kFields) == static_cast<size_t>(Field::kCount));
  std::string json = "{";
  append_member(&json, "lsn", reader.position().lsn);
  append_member(&json, "record", reader.position().record);
  json += std::string(",\"drained\":") + (reader.drained() ? "true" : "false");
  json += ",\"id\":" + std::to_string(conversion.id);
  json += ",\"partner_id\":" + std::to_string(conversion.partner_id);
  const journal::Owner& owner = reader.owner();
  if (!owner.code.empty()) append_text_member(&json, "partner", journal::owner_name(owner));
  if (owner.has_registry()) {
    append_text_member(&json, "registry_id", base::uuid_text(owner.registry));
  }
  append_text_member(&json, "received_at", time_text(conversion.received_at_us));
  append_text_member(&json, "reason", reason_name(conversion.reason));
  if (conversion.conversion_datetime_us.has_value()) {
    append_text_member(&json, "conversion_datetime", time_text(*conversion.conversion_datetime_us));
  }
  if (conversion.usd_sale_amount.has_value()) {
    append_text_member(&json, "usd_sale_amount", conversion.usd_sale_amount->to_string());
  }
  if (conversion.usd_earning.has_value()) {
    append_text_member(&json, "usd_earning", conversion.usd_earning->to_string());
  }
  for (size_t i = 0; i < std::size(kFields); ++i) {
    const auto field = static_cast<Field>(i);
    if (conversion.has(field)) append_field(&json, kFields[i], conversion.text(field));
  }
  return json + "}\n";
}

int run_journal_verify(const Invocation& invocation) {
  Result<Recovered> found = look_at_journal(invocation);
  if (!found.ok()) return fail(found.status().message());
  print(invocation.json ? verify_json(found.value()) : verify_text(found.value()));
  return found.value().damaged() ? kFailed : kOk;
}

namespace {

// One look as a line; `per_second` is how much fewer there are than at the look before.
std::string watch_line(const Recovered& found, double per_second) {
  char change[32];
  std::snprintf(change, sizeof change, "%+.0f/s", per_second == 0 ? 0 : -per_second);
  std::string line;
  base::append_iso8601(&line, base::system_clock().wall_us());
  line += "  not drained " + std::to_string(found.undrained_records) + "  " + change;
  for (const auto& [owner, records] : found.undrained_by_owner) {
    const std::string name =
        owner.code.empty() ? std::to_string(owner.partner_id) : journal::owner_name(owner);
    line += "  partner " + name + ": " + std::to_string(records);
  }
  return line + "\n";
}

// Reading a large journal takes time and disk: at most a tenth of both is spent on looking.
int watch_journal(const Invocation& invocation) {
  const base::Clock& clock = base::system_clock();
  uint64_t seen_before = 0;
  uint64_t seen_ns = 0;
  while (true) {
    const uint64_t began_ns = clock.monotonic_ns();
    Result<Recovered> found = look_at_journal(invocation);
    if (!found.ok()) return fail(found.status().message());
    const uint64_t now_ns = clock.monotonic_ns();
    const uint64_t undrained = found.value().undrained_records;
    const double seconds = seen_ns == 0 ? 0 : static_cast<double>(now_ns - seen_ns) / 1e9;
    const double fewer = static_cast<double>(seen_before) - static_cast<double>(undrained);
    print(invocation.json ? stat_json(found.value(), nullptr, journal_folder(invocation))
                          : watch_line(found.value(), seconds > 0 ? fewer / seconds : 0));
    std::fflush(stdout);
    seen_before = undrained;
    seen_ns = now_ns;
    const auto took = std::chrono::nanoseconds(now_ns - began_ns);
    std::this_thread::sleep_for(
        std::max<std::chrono::nanoseconds>(std::chrono::seconds(1), 9 * took));
  }
}

}  // namespace

int run_journal_stat(const Invocation& invocation) {
  if (invocation.watch) return watch_journal(invocation);
  Result<Recovered> found = look_at_journal(invocation);
  if (!found.ok()) return fail(found.status().message());
  // Only to say what is held; the journal is told without it.
  auto table = read_table(invocation.settings);
  const partner::PartnerTable* partners = table.ok() ? table.value().get() : nullptr;
  const std::string folder = journal_folder(invocation);
  print(invocation.json ? stat_json(found.value(), partners, folder)
                        : stat_text(found.value(), partners, folder));
  return kOk;
}

int run_journal_export(const Invocation& invocation) {
  const std::string folder = journal_folder(invocation);
  journal::Disk& disk = journal::real_disk();
  Result<Recovered> found = look_at_journal(invocation);
  if (!found.ok()) return fail(found.status().message());
  journal::ReaderOptions options;
  options.frames.disk = &disk;
  options.frames.folder = folder;
  for (const journal::SegmentSummary& segment : found.value().segments) {
    options.frames.segments.push_back(segment.number);
  }
  options.frames.checkpoint = found.value().checkpoint.checkpoint;
  options.include_drained = true;
  journal::Reader reader(std::move(options));
  bool complete = true;
  while (true) {
    switch (reader.next()) {
      case journal::ReaderStep::record:
        print(record_json(reader));
        continue;
      case journal::ReaderStep::gap:
        warn("gap: " + journal::gap_text(reader.gap()));
        complete = complete && reader.gap().drained;
        continue;
      case journal::ReaderStep::failed:
        return fail(reader.status().message());
      case journal::ReaderStep::end:
        return complete ? kOk : kFailed;
    }
  }
}

}  // namespace postback::postbackctl
