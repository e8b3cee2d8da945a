// A partner's parameter mapping, compiled once per partner table for look-ups by parameter name.
// Immutable; shared by all threads.
#pragma once

#include <memory>
#include <string>

#include "base/status.h"
#include "postback/partner.h"

namespace postback::conversion {

class Mapping : public std::enable_shared_from_this<Mapping> {
 public:
  // Fails when the partner's timezone is unknown. Copies what it needs from `partner`.
  static base::Result<std::shared_ptr<const Mapping>> compile(const Partner& partner);
  ~Mapping();
  struct Impl;
  const Impl& impl() const { return *impl_; }

 private:
  Mapping() = default;
  std::unique_ptr<Impl> impl_;
};

}  // namespace postback::conversion
