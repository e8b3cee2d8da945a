// The commonest operator error: a macro that the network did not expand arrives literally.
#pragma once

#include <string_view>

#include "conversion/ascii.h"

namespace postback::conversion {

// The rest of is_unexpanded_macro(), for text that begins with what macros begin with.
bool is_macro_behind_opening(std::string_view text);

// The whole text is an unexpanded macro: {x}, {{x}}, [x], !!!x!!!, ${x}, #x# or %7Bx%7D, where x is
// a name: up to 64 letters, digits, spaces and "_-.", a letter among them. Spaces around the text
// do not count. Not macros: ${jndi:…} and other shell or template text (it is stored as it came),
// <x> (it is HTML), and a GUID in braces (it is an id).
inline bool is_unexpanded_macro(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  if (text.empty()) return false;
  // Nearly every text is told by how it begins.
  switch (text[0]) {
    case '{':
    case '[':
    case '!':
    case '$':
    case '#':
    case '%':
      return is_macro_behind_opening(text);
    default:
      return false;
  }
}

// The rest of is_own_name(), for a text of the name's size without spaces around it.
bool is_own_name_of_size(std::string_view text, std::string_view name);

// The text is the name of the parameter it came in: a macro whose braces were lost on the way (curl
// expands {x} to x), or a template that was never filled. Case does not count; a name without any
// letter could be a real id.
inline bool is_own_name(std::string_view text, std::string_view name) {
  text = trimmed(text);
  return text.size() == name.size() && is_own_name_of_size(text, name);
}

// "null" or "undefined" in any case: what a script writes for a value it does not have.
bool is_null_word(std::string_view text);

}  // namespace postback::conversion
