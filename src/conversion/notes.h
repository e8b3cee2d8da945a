// Why a row needs a person: collected while a postback is read, stored as processing_error.
#pragma once

#include <string>
#include <string_view>

#include "conversion/fault.h"

namespace postback::conversion {

class Notes {
 public:
  void clear() { text_.clear(); }
  // Joined by "; ".
  const std::string& text() const { return text_; }
  // Starts a note with the name of a parameter; the caller appends the rest.
  std::string* start(std::string_view name) {
    if (!text_.empty()) text_.append("; ");
    append_shown_name(name);
    return &text_;
  }

 private:
  // Usual names stand plainly; what could be mistaken for the note's own words is quoted.
  void append_shown_name(std::string_view name) {
    const bool plain = !name.empty() && name.size() <= 50 &&
                       name.find_first_not_of(
                           "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                           "0123456789_-.") == std::string_view::npos;
    if (plain) {
      text_.append(name);
    } else {
      append_shown(&text_, name);
    }
  }

  std::string text_;
};

}  // namespace postback::conversion
