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
  if (waiting_.empty()) {
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
// sqlite:PATH has none.
SubmitGate::Server& SubmitGate::server_of(std::string_view database_url) {
  std::string_view authority;
  const size_t scheme = database_url.find("://");
  if (scheme != std::string_view::npos) {
    authority = database_url.substr(scheme + 3);
    authority = authority.substr(0, authority.find('/'));
    const size_t user = authority.rfind('@');
    if (user != std::string_view::npos) authority.remove_prefix(user + 1);
  }
  std::unique_ptr<Server>& server = servers_[std::string(authority)];
  if (server == nullptr) server = std::make_unique<Server>();
  return *server;
}

}  // namespace postback::ingest
