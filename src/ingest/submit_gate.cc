#include "ingest/submit_gate.h"

#include <algorithm>

#include "base/check.h"
#include "ingest/limits.h"

namespace postback::ingest {

bool SubmitGate::Server::enter(SlotWaiter* waiter) {
  if (taken_ < kServerBatchesMax) {
    ++taken_;
    return true;
  }
  waiting_.push_back(waiter);
  return false;
}

void SubmitGate::Server::leave() {
  CHECK(taken_ > 0);
  if (waiting_.empty() || taken_ > kServerBatchesMax) {
    --taken_;
    return;
  }
  SlotWaiter* next = waiting_.front();
  waiting_.pop_front();
  next->slot_granted();
}

void SubmitGate::Server::forget(const SlotWaiter* waiter) {
  waiting_.erase(std::remove(waiting_.begin(), waiting_.end(), waiter), waiting_.end());
}

// The part that names the server: postgresql://[user@]host:port/database, all hosts of a list.
// Empty: libpq's own default, a local one.
SubmitGate::Server& SubmitGate::server_of(std::string_view database_url) {
  constexpr std::string_view kSqlite = "sqlite:";  // No authority looks like that.
  std::string_view name = kSqlite;
  if (!database_url.starts_with(kSqlite)) {
    const size_t scheme = database_url.find("://");
    name = scheme == std::string_view::npos ? "" : database_url.substr(scheme + 3);
    name = name.substr(0, name.find('/'));
    const size_t user = name.rfind('@');
    if (user != std::string_view::npos) name.remove_prefix(user + 1);
  }
  std::unique_ptr<Server>& server = servers_[std::string(name)];
  if (server == nullptr) server = std::make_unique<Server>();
  return *server;
}

}  // namespace postback::ingest
