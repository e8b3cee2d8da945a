#include "store/resolver.h"

#include <netdb.h>
#include <sys/socket.h>

#include <chrono>
#include <deque>
#include <future>
#include <set>
#include <system_error>

#include "base/check.h"

namespace postback::store {
namespace {

void resolve(Resolve* question) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG;
  addrinfo* found = nullptr;
  const int failure = getaddrinfo(question->host.c_str(), nullptr, &hints, &found);
  if (failure != 0) {
    question->error = gai_strerror(failure);
    return;
  }
  for (const addrinfo* each = found; each != nullptr; each = each->ai_next) {
    char text[NI_MAXHOST];
    if (question->addresses.size() < Resolve::kAddressesMax &&
        getnameinfo(each->ai_addr, each->ai_addrlen, text, sizeof text, nullptr, 0,
                    NI_NUMERICHOST) == 0) {
      question->addresses.emplace_back(text);
    }
  }
  freeaddrinfo(found);
  if (question->addresses.empty()) question->error = "the name has no address";
}

}  // namespace

// Hands each question to a thread of its own, one per name at a time. Shared with these threads and
// with its own, because they may outlive the Resolver.
class Resolver::Worker final : public MessageReceiver, public std::enable_shared_from_this<Worker> {
 public:
  void run() {
    while (!stopped_ || !busy_.empty()) {
      mailbox_.wait();
      mailbox_.drain();
      start_lookups();
    }
    ended_.set_value();
  }

  // A new question, or one that was looked up.
  void receive(Message& message) override {
    if (&message == &stop_) {
      stopped_ = true;
      return;
    }
    auto* question = static_cast<Resolve*>(&message);
    if (!question->looked_up_) {
      waiting_.push_back(question);
      return;
    }
    busy_.erase(question->host);
    settle(question);
  }

  bool ask(std::unique_ptr<Resolve>* question) {
    if (waiting_count_.fetch_add(1, std::memory_order_relaxed) >= kQuestionsMax) {
      waiting_count_.fetch_sub(1, std::memory_order_relaxed);
      return false;
    }
    (*question)->receiver = this;
    mailbox_.post(*question->release());
    return true;
  }

  // Returns whether the thread has ended.
  bool stop() {
    stop_.receiver = this;
    mailbox_.post(stop_);
    return ended_.get_future().wait_for(kStopWaitMax) == std::future_status::ready;
  }

 private:
  static constexpr auto kStopWaitMax = std::chrono::milliseconds(200);

  void start_lookups() {
    std::erase_if(waiting_, [this](Resolve* question) {
      const bool wanted = question->fate_.load(std::memory_order_acquire) == Resolve::Fate::asked;
      if (!wanted || stopped_) {
        settle(question);
        return true;
      }
      if (busy_.size() >= kLookupsMax || !busy_.insert(question->host).second) return false;
      look_up(question);
      return true;
    });
  }

  // The question comes back as a message.
  void look_up(Resolve* question) {
    question->looked_up_ = true;
    try {
      std::thread([worker = shared_from_this(), question] {
        resolve(question);
        worker->mailbox_.post(*question);
      }).detach();
    } catch (const std::system_error& error) {
      question->error = std::string("the system refused a thread: ") + error.what();
      mailbox_.post(*question);
    }
  }

  void settle(Resolve* question) {
    waiting_count_.fetch_sub(1, std::memory_order_relaxed);
    auto expected = Resolve::Fate::asked;
    if (question->fate_.compare_exchange_strong(expected, Resolve::Fate::answered,
                                                std::memory_order_acq_rel)) {
      // The asker now waits for this message, so its mailbox is still there.
      question->receiver = question->asker;
      question->mailbox->post(*question);
    } else {
      delete question;
    }
  }

  io::Mailbox mailbox_{nullptr};
  Message stop_;
  std::atomic<int> waiting_count_{0};
  std::promise<void> ended_;
  // The thread's own.
  bool stopped_ = false;
  std::deque<Resolve*> waiting_;  // Oldest first.
  std::set<std::string> busy_;    // Names that are being looked up.
};

Resolver::Resolver() : worker_(std::make_shared<Worker>()) {
  thread_ = std::thread([worker = worker_] { worker->run(); });
}

Resolver::~Resolver() {
  if (worker_->stop()) {
    thread_.join();
  } else {
    thread_.detach();
  }
}

bool Resolver::ask(std::unique_ptr<Resolve>* question) {
  CHECK((*question)->mailbox != nullptr && (*question)->asker != nullptr);
  return worker_->ask(question);
}

bool Resolver::abandon(Resolve* question) {
  auto expected = Resolve::Fate::asked;
  return question->fate_.compare_exchange_strong(expected, Resolve::Fate::abandoned,
                                                 std::memory_order_acq_rel);
}

}  // namespace postback::store
