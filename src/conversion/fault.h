// What is wrong with a postback as a whole, so that it goes to quarantine. The first fault found
// is the one that is reported.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "postback/reason.h"

namespace postback::conversion {

struct Fault {
  Reason reason = Reason::none;
  std::string field;    // The parameter at fault, as it came; empty when none is.
  std::string message;  // One English sentence without a full stop; valid UTF-8.

  bool found() const { return reason != Reason::none; }
  void clear() {
    reason = Reason::none;
    field.clear();
    message.clear();
  }
  // Keeps the fault that was found before, if any.
  void raise(Reason new_reason, std::string_view new_field, std::string_view new_message);
};

// Appends `text` in double quotes as it may stand in a message: cut after 60 bytes (between two
// characters) with "…", control bytes and what is not UTF-8 replaced by U+FFFD.
void append_shown(std::string* out, std::string_view text);

}  // namespace postback::conversion
