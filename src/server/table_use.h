// The partner table a core routes by, and how many requests of the core still refer to it: a table
// that was replaced is kept until the last of them is answered. Thread: the core's.
#pragma once

#include <cstdint>
#include <list>
#include <memory>

#include "partner/partner_table.h"

namespace postback::server {

class TableUses {
 public:
  struct Use {
    std::shared_ptr<const partner::PartnerTable> table;
    uint64_t count = 0;
  };

  void replace(std::shared_ptr<const partner::PartnerTable> table) {
    uses_.push_back({std::move(table), 0});
    forget_unused();
  }
  // nullptr until the first table came.
  const partner::PartnerTable* current() const {
    return uses_.empty() ? nullptr : uses_.back().table.get();
  }
  // Requires current(). The result stays valid until its release().
  Use* acquire() {
    ++uses_.back().count;
    return &uses_.back();
  }
  void release(Use* use) {
    if (--use->count == 0 && use != &uses_.back()) forget_unused();
  }

 private:
  void forget_unused() {
    for (auto use = uses_.begin(); use != uses_.end();) {
      const bool is_current = std::next(use) == uses_.end();
      use = use->count == 0 && !is_current ? uses_.erase(use) : std::next(use);
    }
  }

  std::list<Use> uses_;  // The current one is the last.
};

}  // namespace postback::server
