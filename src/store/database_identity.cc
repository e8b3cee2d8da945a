#include "store/database_identity.h"

namespace postback::store {
namespace {

void compare(const char* what, const std::string& before, const std::string& now,
             std::string* text) {
  if (before.empty() || now.empty() || before == now) return;
  if (!text->empty()) text->append("; ");
  text->append(what).append(" ").append(before).append(" before, ").append(now).append(" now");
}

std::string timeline_text(uint32_t timeline) {
  return timeline == 0 ? std::string() : std::to_string(timeline);
}

}  // namespace

std::string identity_difference(const DatabaseIdentity& before, const DatabaseIdentity& now) {
  std::string text;
  compare("system identifier", before.system_identifier, now.system_identifier, &text);
  compare("timeline", timeline_text(before.timeline), timeline_text(now.timeline), &text);
  compare("incarnation", before.incarnation, now.incarnation, &text);
  compare("file", before.file, now.file, &text);
  return text;
}

}  // namespace postback::store
