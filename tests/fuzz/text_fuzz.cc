// Fuzz target of base/utf8, base/printable and base/json_writer, through which all text from
// outside goes on its way to databases, answers, terminals and the log. simdjson is the judge.
#include <simdjson.h>

#include "base/json_writer.h"
#include "base/printable.h"
#include "base/utf8.h"
#include "input.h"

namespace {

using namespace postback::base;

void check_utf8(std::string_view text, std::string_view repaired, bool replaced) {
  const bool valid = is_valid_utf8(text);
  CHECK(valid == simdjson::validate_utf8(text.data(), text.size()));
  CHECK(replaced == (!valid || text.find('\0') != std::string_view::npos));
  CHECK(replaced || repaired == text);
  CHECK(is_valid_utf8(repaired) && repaired.find('\0') == std::string_view::npos);
  CHECK(repaired.size() <= 3 * text.size());
  size_t characters = 0;
  for (const char c : repaired) characters += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  CHECK(utf8_character_count(repaired) == characters);
}

// What is written is valid JSON and says what the repaired text says.
void check_json(std::string_view text, std::string_view repaired) {
  static simdjson::dom::parser parser;
  std::string json;
  append_json_string(&json, text);
  std::string_view read;
  CHECK(!parser.parse(simdjson::padded_string(json)).get(read));
  CHECK(read == repaired);
}

void check_characters(std::string_view shown, bool lines) {
  CHECK(is_valid_utf8(shown));
  for (std::string_view rest = shown; !rest.empty();) {
    size_t invalid_size = 0;
    const size_t size = utf8_sequence_size(rest, &invalid_size);
    const uint32_t code = utf8_code_point(rest.substr(0, size));
    rest.remove_prefix(size);
    if (lines && (code == '\n' || code == '\t')) continue;
    CHECK(code >= 0x20 && !(code >= 0x7F && code < 0xA0));         // Controls.
    CHECK(!(code >= 0x2028 && code <= 0x202E));                    // Line ends, embeddings.
    CHECK(!(code >= 0x2066 && code <= 0x2069) && code != 0x200F);  // Isolates.
  }
}

void check_printable(std::string_view text) {
  const std::string shown = printable(text, text.size());
  CHECK(shown.size() <= 4 * text.size());
  check_characters(shown, false);
  constexpr size_t kCut = 7;
  const std::string cut = printable(text, kCut);
  CHECK(is_valid_utf8(cut) && cut.size() <= 4 * kCut + std::string_view("…").size());
}

// JSON that is printed is JSON still, and says the same.
void check_output(std::string_view text, std::string_view repaired) {
  std::string shown;
  append_printable_output(&shown, text);
  check_characters(shown, true);
  static simdjson::dom::parser parser;
  std::string json;
  append_json_string(&json, text);
  std::string printed;
  append_printable_output(&printed, json);
  check_characters(printed, true);
  std::string_view read;
  CHECK(!parser.parse(simdjson::padded_string(printed)).get(read));
  CHECK(read == repaired);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = postback::fuzz::text_of(data, size);
  std::string repaired;
  const bool replaced = append_repaired_utf8(&repaired, text);
  check_utf8(text, repaired, replaced);
  check_json(text, repaired);
  check_printable(text);
  check_output(text, repaired);
  return 0;
}
