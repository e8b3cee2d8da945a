#include "store/partner_claim.h"

namespace postback::store {
namespace {

// Ids of one control database are never given to another code, so what it says counts.
bool same_registry(const std::string& a, const std::string& b) {
  return !a.empty() && a == b;
}

constexpr const char* kWhy =
    "; was the control database made anew? Nothing is stored, so that rows are not mixed. ";

}  // namespace

ClaimVerdict judge_claim(const PartnerClaim& claim, const KnownCodes& known, std::string* error) {
  const std::string id = std::to_string(claim.partner_id);
  if (known.code_of_id.has_value()) {
    if (*known.code_of_id == claim.partner_code) return ClaimVerdict::fits;
    if (same_registry(known.registry_of_id, claim.registry_id)) return ClaimVerdict::renamed;
    *error = "in this database partner id " + id + " is partner " + *known.code_of_id + ", not " +
             claim.partner_code + kWhy +
             "Give the partner a database of its own (postbackctl partner set " +
             claim.partner_code +
             " database_url=...), or bring the old control database back. If " + *known.code_of_id +
             " is only the old name of " + claim.partner_code +
             ": DELETE FROM postback_partner_codes WHERE partner_id = " + id;
    return ClaimVerdict::clash;
  }
  if (!known.other_id_of_code.has_value()) return ClaimVerdict::absent;
  if (same_registry(known.registry_of_code, claim.registry_id)) return ClaimVerdict::absent;
  const std::string other = std::to_string(*known.other_id_of_code);
  *error = "in this database partner " + claim.partner_code + " has id " + other +
           ", and the control database gives it " + id + kWhy +
           "Under another id its earlier conversions would be stored once more. Give it its id back"
           " in the control database (UPDATE partners SET id = " +
           other + " WHERE partner_code = '" + claim.partner_code +
           "', and the same in partner_ids), or bring the old control database back. To begin anew"
           " all the same: DELETE FROM postback_partner_codes WHERE partner_id = " +
           other;
  return ClaimVerdict::clash;
}

}  // namespace postback::store
