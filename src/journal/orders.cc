#include "journal/orders.h"

#include <algorithm>
#include <cerrno>

#include "base/crc32c.h"
#include "journal/bytes.h"
#include "journal/limits.h"
#include "journal/owner_bytes.h"
#include "journal/replace_file.h"

namespace postback::journal {
namespace {

using base::Result;
using base::Status;

constexpr std::string_view kMagic = "PBJORDER";
constexpr uint32_t kOrdersVersion = 1;
constexpr size_t kFileBytesMax = 64 + kOrdersMax * (1 + 2 * kOwnerBytesMax + 16);

}  // namespace

std::string encode_orders(const std::vector<Order>& orders) {
  std::string out(kMagic);
  append<uint32_t>(&out, kOrdersVersion);
  append<uint32_t>(&out, static_cast<uint32_t>(orders.size()));
  for (const Order& order : orders) {
    append<uint8_t>(&out, static_cast<uint8_t>(order.kind));
    append_owner(order.from, &out);
    append_owner(order.to, &out);
    append<uint64_t>(&out, order.lsn_end);
    append<uint64_t>(&out, order.records);
  }
  append<uint32_t>(&out, base::crc32c(out));
  return out;
}

bool decode_orders(std::string_view bytes, std::vector<Order>* out) {
  if (bytes.size() < kMagic.size() + 12 || bytes.size() > kFileBytesMax) return false;
  const std::string_view covered = bytes.substr(0, bytes.size() - 4);
  if (base::crc32c(covered) != get<uint32_t>(bytes.data() + covered.size())) return false;
  Taker in(covered);
  if (in.take_text(kMagic.size()) != kMagic || in.take<uint32_t>() != kOrdersVersion) return false;
  const auto count = in.take<uint32_t>();
  std::vector<Order> orders;
  // The count is trusted no further than the bytes go.
  for (uint32_t i = 0; i < count && !in.failed(); ++i) {
    Order order;
    const auto kind = in.take<uint8_t>();
    if (kind != static_cast<uint8_t>(Order::Kind::assign) &&
        kind != static_cast<uint8_t>(Order::Kind::discard)) {
      return false;
    }
    order.kind = static_cast<Order::Kind>(kind);
    if (!take_owner(&in, &order.from) || !take_owner(&in, &order.to)) return false;
    order.lsn_end = in.take<uint64_t>();
    order.records = in.take<uint64_t>();
    orders.push_back(std::move(order));
  }
  if (in.failed() || in.left() != 0) return false;
  *out = std::move(orders);
  return true;
}

Result<std::vector<Order>> load_orders(Disk* disk, const std::string& folder) {
  std::vector<Order> orders;
  const std::string path = folder + "/" + kOrdersName;
  std::unique_ptr<File> file;
  const int error = disk->open(path, OpenMode::read, &file);
  if (error == -ENOENT) return orders;
  if (error != 0) return disk_error("open", path, error);
  std::string bytes(kFileBytesMax + 1, '\0');
  const int64_t size = file->pread(bytes.data(), bytes.size(), 0);
  if (size < 0) return disk_error("read", path, static_cast<int>(size));
  bytes.resize(static_cast<size_t>(size));
  if (decode_orders(bytes, &orders)) return orders;
  return Status::error("the orders in " + path +
                       " are damaged, or a later program gave them; the records that they are "
                       "about stay in the journal. Remove the file and give the orders again with: "
                       "postbackctl journal assign");
}

Status store_orders(Disk* disk, const std::string& folder, const std::vector<Order>& orders) {
  if (orders.size() > kOrdersMax) {
    return Status::error("there are " + std::to_string(kOrdersMax) +
                         " orders whose records are not drained yet; wait until they are");
  }
  return replace_file(disk, folder, kOrdersName, encode_orders(orders));
}

bool apply_discards(const std::vector<Order>& orders, Checkpoint* checkpoint) {
  bool changed = false;
  for (const Order& order : orders) {
    if (order.kind != Order::Kind::discard || !(checkpoint->start(order.from) < order.end())) {
      continue;
    }
    checkpoint->partners[order.from] = order.end();
    changed = true;
  }
  return changed;
}

const Order* assignment_of(const std::vector<Order>& orders, const Owner& owner,
                           const Checkpoint& checkpoint) {
  const auto found = std::find_if(orders.begin(), orders.end(), [&](const Order& order) {
    return order.kind == Order::Kind::assign && order.from == owner &&
           checkpoint.start(owner) < order.end();
  });
  return found == orders.end() ? nullptr : &*found;
}

std::vector<Order> open_orders(const std::vector<Order>& orders, uint64_t first_lsn) {
  std::vector<Order> open;
  std::copy_if(orders.begin(), orders.end(), std::back_inserter(open),
               [&](const Order& order) { return order.lsn_end > first_lsn; });
  return open;
}

}  // namespace postback::journal
