// A header field as it came: name and value without surrounding white space. Borrowed views.
#pragma once

#include <string_view>

namespace postback {

struct Header {
  std::string_view name;
  std::string_view value;
};

}  // namespace postback
