// The lanes of one core: made, replaced and retired as the partner table changes, found by partner
// and slice. Receives the postbacks and reads that the cores send here. Thread: its core's.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "ingest/lane.h"
#include "ingest/past_lanes.h"
#include "partner/partner_table.h"

namespace postback::ingest {

class LaneTable {
 public:
  // environment.dirty is set by the table itself.
  explicit LaneTable(const LaneEnvironment& environment);
  ~LaneTable();  // All lanes are closed.
  LaneTable(const LaneTable&) = delete;
  LaneTable& operator=(const LaneTable&) = delete;

  LaneReceivers receivers() { return {&postback_door_, &read_door_, &replay_door_}; }

  // Makes the lanes that `table` wants here and this core lacks; replaces those whose database
  // changed. Called on every core before any core routes by `table`.
  void prepare(const partner::PartnerTable& table);
  // Retires the lanes that `table` does not want. Called when every core routes by
  // `table`.
  void settle(const partner::PartnerTable& table);

  void flush();                // End of turn.
  void tick(uint64_t now_ns);  // About every 50 ms.

  void close_all();
  bool all_closed() const { return lanes_.empty() && retiring_.empty(); }
  bool all_idle() const;  // No postback is held.
  // `counters`: the lane's, and those of the lanes whose place it took.
  void for_each(const std::function<void(const Lane&, const LaneCounters& counters)>& visit) const;
  // The same for lanes that are gone, or going, without another in their place. The backlog is
  // given only where no lane of the partner tells it.
  void for_each_past(const std::function<void(const LaneIdentity&, const PastLane&)>& visit) const;

 private:
  class PostbackDoor final : public MessageReceiver {
   public:
    explicit PostbackDoor(LaneTable* table) : table_(table) {}
    void receive(Message& message) override;

   private:
    LaneTable* table_;
  };
  class ReadDoor final : public MessageReceiver {
   public:
    explicit ReadDoor(LaneTable* table) : table_(table) {}
    void receive(Message& message) override;

   private:
    LaneTable* table_;
  };

  class ReplayDoor final : public MessageReceiver {
   public:
    explicit ReplayDoor(LaneTable* table) : table_(table) {}
    void receive(Message& message) override;

   private:
    LaneTable* table_;
  };

  static uint64_t key_of(int32_t partner_id, uint32_t slice) {
    return (uint64_t{static_cast<uint32_t>(partner_id)} << 32) | slice;
  }
  Lane* find(int32_t partner_id, uint32_t slice) const;
  void retire(std::unique_ptr<Lane> lane);

  PostbackDoor postback_door_{this};
  ReadDoor read_door_{this};
  ReplayDoor replay_door_{this};
  LaneEnvironment environment_;
  SubmitGate gate_;
  absl::flat_hash_map<uint64_t, std::unique_ptr<Lane>> lanes_;
  std::vector<std::unique_ptr<Lane>> retiring_;
  PastLanes past_;
  std::vector<Lane*> dirty_;
  std::vector<Lane*> flushing_;  // Scratch of flush().
  uint32_t next_scope_ = 1;
};

}  // namespace postback::ingest
