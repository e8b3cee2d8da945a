// Which partner the rows of a partner_id belong to, as the partner's database itself knows it
// (table postback_partner_codes). Ids come from the control database: one that was made anew may
// give the id of one partner to another, and a store must not mix their rows.
//
// Pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace postback::store {

// Who wants to store.
struct PartnerClaim {
  int32_t partner_id = 0;
  std::string partner_code;  // Empty: nothing is claimed, nothing is checked.
  std::string registry_id;   // Of the control database; empty: not known.
  bool operator==(const PartnerClaim&) const = default;
};

// What the table says of the id and of the code.
struct KnownCodes {
  std::optional<std::string> code_of_id;
  std::string registry_of_id;
  std::optional<int32_t> other_id_of_code;  // Another id than the claimed one.
  std::string registry_of_code;
};

enum class ClaimVerdict : uint8_t {
  fits,
  absent,   // Neither is known: to be inserted.
  renamed,  // The same control database calls the id otherwise now: to be updated.
  clash,    // A person is needed.
};

// `error` is set on clash only: what clashes and what the operator can do.
ClaimVerdict judge_claim(const PartnerClaim& claim, const KnownCodes& known, std::string* error);

}  // namespace postback::store
