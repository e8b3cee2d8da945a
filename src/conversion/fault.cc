#include "conversion/fault.h"

#include "base/utf8.h"

namespace postback::conversion {
namespace {

constexpr size_t kShownBytesMax = 60;  // Enough to recognise a value; a line of a log holds it.

}  // namespace

void Fault::raise(Reason new_reason, std::string_view new_field, std::string_view new_message) {
  if (found()) return;
  reason = new_reason;
  // A name may be any bytes that a query or form can carry.
  base::append_repaired_utf8(&field, new_field);
  message.assign(new_message);
}

void append_shown(std::string* out, std::string_view text) {
  const size_t shown_bytes_max = out->size() + 1 + kShownBytesMax;
  out->push_back('"');
  while (!text.empty()) {
    size_t invalid_size = 0;
    const size_t size = base::utf8_sequence_size(text, &invalid_size);
    const auto c = static_cast<unsigned char>(text[0]);
    const bool shown = size > 0 && c >= 0x20 && c != 0x7f;
    const std::string_view piece = shown ? text.substr(0, size) : std::string_view("\uFFFD");
    if (out->size() + piece.size() > shown_bytes_max) {
      out->append("…");
      break;
    }
    out->append(piece);
    text.remove_prefix(size > 0 ? size : invalid_size);
  }
  out->push_back('"');
}

}  // namespace postback::conversion
