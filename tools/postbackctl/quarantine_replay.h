// From a quarantine row back to the postback that came, mapped once more.
#pragma once

#include <memory>
#include <string>

#include "base/status.h"
#include "conversion/mapping.h"
#include "conversion/reader.h"
#include "postback/conversion.h"
#include "postback/partner.h"
#include "quarantine_rows.h"

namespace postback::postbackctl {

// A row that does not hold what the server writes (it was written by hand): never a conversion.
constexpr const char* kRowUnreadable = "row_unreadable";

class QuarantineReplay {
 public:
  // With the partner's mapping as it is now. Fails when its timezone is unknown.
  static base::Result<std::unique_ptr<QuarantineReplay>> make(const Partner& partner);

  // Returns why the row is no conversion even now (a reason's name, or kRowUnreadable); empty when
  // *out is a conversion. It then has the row's id, its time of receipt, and its headers as they
  // stand in the quarantine. `row` is complete.
  std::string replay(const QuarantineRow& row, Conversion* out);

 private:
  QuarantineReplay() = default;

  std::shared_ptr<const conversion::Mapping> mapping_;
  conversion::Reader reader_;
};

}  // namespace postback::postbackctl
