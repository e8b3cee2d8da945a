// Fuzz target of partner/cache_text, the partners of the last run in a file. With an even first
// byte the rest is the file; with an odd one it stands behind lines that are right and in front of
// its checksum, which no mutation finds by itself.
#include <cstdio>

#include "base/crc32c.h"
#include "input.h"
#include "partner/cache_text.h"

namespace {

using postback::partner::PartnerEntry;
using postback::partner::PartnerTable;

const std::string kControl = "sqlite:/fuzz/control.db";
const postback::partner::DatabaseHome kHome{kControl, "/fuzz/data"};

std::string framed(std::string_view rows) {
  std::string text = "postback partners 1\ncontrol " + kControl + "\n" + std::string(rows);
  if (!text.ends_with('\n')) text += '\n';
  char checksum[32];
  std::snprintf(checksum, sizeof checksum, "crc32c %08x\n", postback::base::crc32c(text));
  return text + checksum;
}

PartnerTable table_of(const std::vector<postback::Partner>& partners) {
  std::vector<std::shared_ptr<const PartnerEntry>> entries;
  for (const postback::Partner& partner : partners) {
    auto entry = std::make_shared<PartnerEntry>();
    entry->partner = partner;
    entries.push_back(entry);
  }
  return PartnerTable(std::move(entries), 1);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view rest = postback::fuzz::text_of(data + 1, size - 1);
  const std::string text = (data[0] & 1) != 0 ? framed(rest) : std::string(rest);
  auto read = postback::partner::partners_from_text(text, kControl, kHome);
  if (!read.ok()) {
    postback::fuzz::check_message(read.status().message());
    return 0;
  }
  for (const postback::partner::BadPartner& bad : read.value().bad) {
    postback::fuzz::check_message(bad.error);
  }
  // What was read is written, and read as the same again. (The table checks that paths are unique.)
  const std::vector<postback::Partner>& partners = read.value().partners;
  const std::string again = postback::partner::partners_to_text(kControl, table_of(partners));
  auto second = postback::partner::partners_from_text(again, kControl, kHome);
  CHECK(second.ok() && second.value().bad.empty() && second.value().partners == partners);
  return 0;
}
