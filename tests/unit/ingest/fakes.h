// A loop that only has a clock, and a store that does what the test says: what no real database
// does on demand (refuse one row, hang, come back).
#pragma once

#include <deque>
#include <span>

#include "postback/loop.h"
#include "postback/store.h"

namespace postback::ingest {

class FakeLoop final : public Loop {
 public:
  const char* name() const override { return "fake"; }
  SocketId open(int, LoopClient*, uint64_t) override { return {}; }
  SocketId watch(int, LoopClient*, uint64_t) override { return {}; }
  void accept(SocketId, uint32_t) override {}
  void recv(SocketId) override {}
  void send(SocketId, const char*, size_t) override {}
  void poll(SocketId, uint32_t) override {}
  void poll_change(SocketId, uint32_t) override {}
  void close(SocketId) override {}
  TimerId timer_start(std::chrono::nanoseconds, LoopClient*, uint64_t) override { return {}; }
  void timer_cancel(TimerId) override {}
  void wake() override {}
  std::span<const Completion> turn(std::chrono::nanoseconds) override { return {}; }
  uint64_t now_ns() const override { return now_ns_; }

  uint64_t now_ns_ = 1'000'000'000;
};

class FakeStore final : public Store {
 public:
  const char* kind() const override { return "fake"; }
  bool can_submit() const override { return accepting && submitted.size() < batches_max; }
  void submit(Batch& batch) override { submitted.push_back(&batch); }
  void read(StoreRead& read) override { reads.push_back(&read); }
  void open() override {}
  void tick(uint64_t) override {}
  StoreStatus status() const override { return current; }
  void close() override { closed = true; }

  bool accepting = true;
  size_t batches_max = 2;
  std::deque<Batch*> submitted;
  std::deque<StoreRead*> reads;
  StoreStatus current{StoreState::up, "", 1, 0};
  bool closed = false;
};

}  // namespace postback::ingest
