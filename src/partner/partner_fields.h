// The fields of a partner, one table for all that reads or writes them: JSON files, the rows of
// table `partners`, `postbackctl partner set`.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/status.h"
#include "postback/partner.h"

namespace postback::partner {

enum class FieldKind : uint8_t { text, boolean, integer, mapping, time };

// The value of a field, of the alternative that belongs to its kind (a time is an integer:
// microseconds since the epoch).
using FieldValue = std::variant<std::string, bool, int64_t, std::vector<MappingEntry>>;

struct PartnerField {
  const char* name;
  FieldKind kind;
  int64_t low;   // Integer: smallest value. Text: fewest characters.
  int64_t high;  // Integer: largest value. Text: most characters.
  FieldValue (*get)(const Partner& partner);
  void (*set)(Partner* partner, FieldValue value);  // The value is within the bounds.
  // Given by the database; what a file says about it is ignored, so that the output of
  // `postbackctl partner show --json` can be edited and added again.
  bool by_database = false;
  // The version of the control schema that brought the column; before it the default holds.
  int since_version = 1;
};

// In the order in which they are shown. `id` is the first.
std::span<const PartnerField> partner_fields();
const PartnerField* find_field(std::string_view name);  // nullptr when unknown.
// "unknown field 'x'; did you mean y? The fields are …".
base::Status unknown_field(std::string_view name);

// Sets one field after checking kind and bounds. The message starts with the field's name.
base::Status assign_field(const PartnerField& field, FieldValue value, Partner* partner);
// The same from text, as a database row or `set key=value` gives it: true/false (t/f, 1/0) for a
// boolean, a JSON object of strings for a mapping. nullopt (NULL) leaves the default.
base::Status assign_field_text(const PartnerField& field, const std::optional<std::string>& text,
                               Partner* partner);

// What concerns the partner as a whole and the form of its texts: characters of the code, syntax
// of the path, timezone, database. Run on every partner after its fields were assigned.
base::Status check_partner(const Partner& partner);

}  // namespace postback::partner
