// The drain and whose the records are: which partners they go to, what is held, and what a person
// has ordered about them while the server runs.
#include <sys/stat.h>

#include <algorithm>

#include "base/log.h"
#include "ingest/drain.h"
#include "ingest/drain_part.h"

namespace postback::ingest {
namespace {

constexpr uint64_t kOrdersIntervalNs = 1'000'000'000;

// Differs when the file was replaced; empty when there is none.
std::string stamp_of(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return {};
  return std::to_string(status.st_ino) + " " + std::to_string(status.st_size) + " " +
         std::to_string(status.st_mtim.tv_sec) + "." + std::to_string(status.st_mtim.tv_nsec);
}

}  // namespace

std::vector<Hold> Drain::holds() const {
  const std::lock_guard lock(mutex_);
  return holds_;
}

std::string Drain::orders_error() const {
  const std::lock_guard lock(mutex_);
  return orders_error_;
}

bool Drain::orders_are_new() const {
  return stamp_of(environment_.folder + "/" + std::string(journal::kOrdersName)) != orders_stamp_;
}

// An order is followed between passes only, so a pass sends the records of one owner one way.
void Drain::watch_orders() {
  if (now_ns() < orders_looked_ns_ + kOrdersIntervalNs && orders_looked_ns_ != 0) return;
  orders_looked_ns_ = now_ns();
  const std::string stamp = stamp_of(environment_.folder + "/" + std::string(journal::kOrdersName));
  if (stamp == orders_stamp_) return;
  orders_stamp_ = stamp;
  auto loaded = journal::load_orders(environment_.disk, environment_.folder);
  if (!loaded.ok()) LOG_ERROR("journal", loaded.status().message());
  {
    const std::lock_guard lock(mutex_);
    orders_error_ = loaded.status().message();
  }
  if (!loaded.ok()) return;
  orders_ = loaded.take();
  routes_.forget();
  for (const journal::Order& order : orders_) {
    if (order.kind != journal::Order::Kind::discard) continue;
    if (!(checkpoint_.start(order.from) < order.end())) continue;
    PartnerBacklog& backlog = environment_.backlog->of(order.from);
    backlog.discard(order.records);
    backlog.forget_recovered_ids();  // Their ids are new again.
    LOG_WARNING("journal", "gave up " + std::to_string(order.records) +
                               " postbacks by order of postbackctl journal discard: " +
                               journal::owner_text(order.from));
  }
  if (journal::apply_discards(orders_, &checkpoint_)) checkpoint_dirty_ = true;
}

void Drain::watch_owners(const std::shared_ptr<const partner::PartnerTable>& table) {
  if (routes_.is_old(table, *environment_.backlog)) {
    routes_.build(table, orders_, checkpoint_, environment_.backlog);
    // Records that went nowhere, or elsewhere, when a pass covered them may go to a partner now.
    for (auto& [partner_id, progress] : progress_) progress.additions_drained = 0;
    const std::lock_guard lock(mutex_);
    holds_ = routes_.holds();
  }
  routes_.claim(environment_.backlog);
  tell_holds();
}

void Drain::tell_holds() {
  for (const Hold& hold : routes_.holds()) {
    const uint64_t waiting = hold.backlog->waiting();
    if (waiting == 0 || !holds_told_.emplace(hold.owner, hold.reason).second) continue;
    LOG_WARNING("journal", std::to_string(waiting) + " postbacks of partner " +
                               journal::owner_text(hold.owner) +
                               " are held in the journal: " + hold_remedy(hold.owner, hold.reason));
  }
  // What is held again later is told again.
  std::erase_if(holds_told_, [this](const auto& told) {
    const auto& holds = routes_.holds();
    return std::none_of(holds.begin(), holds.end(), [&](const Hold& hold) {
      return hold.owner == told.first && hold.reason == told.second;
    });
  });
}

bool Drain::is_late_elsewhere(const journal::Owner& owner, int32_t partner_id) const {
  return std::any_of(late_.begin(), late_.end(), [&](const auto& part) {
    return part->partner().id != partner_id && part->takes(owner);
  });
}

}  // namespace postback::ingest
