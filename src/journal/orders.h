// What a person has ordered about records that match no partner: that they are another partner's,
// or that they are given up (FORMAT.md, "Orders"). postbackctl writes the file and nobody else; a
// server reads it at its start and when it changes, and acts on it. The file is replaced as a
// whole, so an order is there or is not, whoever dies when.
//
// An order is about the records that were there when it was given, those in front of a frame, and
// is never changed: some of the records may be where they were ordered to already. Blocking.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "journal/checkpoint.h"
#include "journal/disk.h"
#include "journal/owner.h"

namespace postback::journal {

struct Order {
  enum class Kind : uint8_t { assign = 1, discard = 2 };
  Kind kind = Kind::assign;
  Owner from;
  Owner to;              // Of an assignment.
  uint64_t lsn_end = 0;  // Records in frames in front of it.
  uint64_t records = 0;  // How many of them were not drained when it was given.
  Position end() const { return {lsn_end, 0}; }
  bool operator==(const Order&) const = default;
};

// More are refused.
constexpr uint32_t kOrdersMax = 4096;
constexpr const char* kOrdersName = "orders";
constexpr const char* kOrdersLockName = "orders.LOCK";  // Held by whoever replaces the file.

std::string encode_orders(const std::vector<Order>& orders);
// False, and *out unchanged, unless every byte is right.
[[nodiscard]] bool decode_orders(std::string_view bytes, std::vector<Order>* out);

// A folder without the file has no orders. A damaged file, or one of a later version, is an error:
// the records that it is about stay where they are.
base::Result<std::vector<Order>> load_orders(Disk* disk, const std::string& folder);
base::Status store_orders(Disk* disk, const std::string& folder, const std::vector<Order>& orders);

// What discards call given up is drained. True when that changed the checkpoint.
bool apply_discards(const std::vector<Order>& orders, Checkpoint* checkpoint);
// The order by which the next record of this owner goes to another one; nullptr: there is none, or
// all that it is about is drained.
const Order* assignment_of(const std::vector<Order>& orders, const Owner& owner,
                           const Checkpoint& checkpoint);
// Leaves out the orders of which no record can be in the journal any more: it begins with the frame
// `first_lsn`.
std::vector<Order> open_orders(const std::vector<Order>& orders, uint64_t first_lsn);

}  // namespace postback::journal
