// One core's outgoing messages. Messages of a turn are collected per receiving core and posted
// together at its end, so a turn costs each receiver at most one wake-up. Messages to the core
// itself are delivered within the turn.
//
// Thread: its core's.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "io/mailbox.h"

namespace postback::io {

class Courier {
 public:
  Courier(uint32_t own_core, uint32_t core_count) : own_core_(own_core), chains_(core_count) {}

  // Before the first post(). `mailboxes`: one per core, in order; they outlive the courier.
  void connect(std::vector<Mailbox*> mailboxes) { mailboxes_ = std::move(mailboxes); }

  uint32_t core_count() const { return static_cast<uint32_t>(chains_.size()); }
  uint32_t own_core() const { return own_core_; }

  // message.receiver is set and lives on `core`.
  void send(uint32_t core, Message& message) {
    if (core == own_core_) {
      message.next = nullptr;
      (local_newest_ == nullptr ? local_oldest_ : local_newest_->next) = &message;
      local_newest_ = &message;
    } else {
      chains_[core].push(message);
    }
  }

  // Delivers the messages to the own core, and those that come of it, until none is left.
  void deliver_local() {
    while (local_oldest_ != nullptr) {
      Message* message = local_oldest_;
      local_oldest_ = message->next;
      if (local_oldest_ == nullptr) local_newest_ = nullptr;
      message->next = nullptr;
      message->receiver->receive(*message);
    }
  }

  bool has_local() const { return local_oldest_ != nullptr; }

  // Hands what was collected for the other cores to their mailboxes.
  void post() {
    for (size_t core = 0; core < chains_.size(); ++core) mailboxes_[core]->post(&chains_[core]);
  }

 private:
  uint32_t own_core_;
  std::vector<Mailbox*> mailboxes_;
  std::vector<MessageChain> chains_;
  Message* local_oldest_ = nullptr;
  Message* local_newest_ = nullptr;
};

}  // namespace postback::io
