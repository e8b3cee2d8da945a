#include "journal_stuck.h"

#include "base/json_writer.h"
#include "journal/stuck_file.h"

namespace postback::postbackctl {

std::string stuck_text(const std::string& folder) {
  std::string text;
  for (const std::string& line : journal::read_stuck_file(folder)) text += "stuck: " + line + "\n";
  return text;
}

std::string stuck_json(const std::string& folder) {
  std::string json = "[";
  for (const std::string& line : journal::read_stuck_file(folder)) {
    if (json.size() > 1) json += ",";
    base::append_json_string(&json, line);
  }
  return json + "]";
}

}  // namespace postback::postbackctl
