// Host names to addresses, off the cores: getaddrinfo blocks for as long as its name servers
// please, so threads of its own do it, one per name at a time. Only names come here; addresses and
// socket paths are used as they are. A name whose server hangs delays those that wait for it, and
// nobody else, unless kLookupsMax names hang at once.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "io/mailbox.h"
#include "postback/message.h"

namespace postback::store {

// One question. Belongs to the resolver from Resolver::ask() on, until it comes back through
// `mailbox` to `asker` (who then deletes it), or for good after Resolver::abandon().
struct Resolve : Message {
  std::string host;
  io::Mailbox* mailbox = nullptr;
  MessageReceiver* asker = nullptr;
  // The answer: numeric addresses, at most kAddressesMax; when there is none, `error` says why.
  std::vector<std::string> addresses;
  std::string error;

  static constexpr size_t kAddressesMax = 8;

 private:
  friend class Resolver;
  // Who decides first: the asker that gives up, or the resolver that is about to answer.
  enum class Fate : int { asked, abandoned, answered };
  std::atomic<Fate> fate_{Fate::asked};
  bool looked_up_ = false;  // The resolver's own.
};

class Resolver {
 public:
  Resolver();
  // All askers are gone. Does not wait for a name server: a thread that hangs in getaddrinfo is
  // left to itself and touches nothing but its own state.
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  // Any thread. False when kQuestionsMax are waiting already; the question then stays the
  // caller's.
  [[nodiscard]] bool ask(std::unique_ptr<Resolve>* question);
  // The asker's thread. True: the question belongs to the resolver, no answer will come. False: the
  // answer is on its way already and must be received.
  [[nodiscard]] static bool abandon(Resolve* question);

  static constexpr int kQuestionsMax = 256;
  static constexpr size_t kLookupsMax = 16;

 private:
  class Worker;
  std::shared_ptr<Worker> worker_;
  std::thread thread_;
};

}  // namespace postback::store
