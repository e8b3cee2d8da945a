// Quarantine rows as JSON. Pure functions.
#pragma once

#include <string>

#include "quarantine_rows.h"

namespace postback::postbackctl {

// For `list` (not complete) and `show`. A body that is not UTF-8 is shown as far as it is, and
// follows in hexadecimal as body_hex.
std::string row_json(const QuarantineRow& row, bool complete);

// For `export`: one line with its line feed. Of body and body_base64 one is null, or both: the
// bytes of the body are exactly those of the text, or of the Base64 (RFC 4648) where it is no text.
std::string export_line(const QuarantineRow& row);

}  // namespace postback::postbackctl
