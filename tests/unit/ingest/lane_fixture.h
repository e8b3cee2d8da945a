// A lane over a fake store: what no real database does on demand (refuse one row, fail a batch,
// hang) is decided by the test.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "fakes.h"
#include "ingest/lane.h"
#include "ingest/limits.h"

namespace postback::ingest {

class LaneFixture : public ::testing::Test, public MessageReceiver {
 protected:
  LaneFixture() { make_lane(); }

  // Once more, with what the test has changed in environment_ and partner_.
  void make_lane() {
    lane_.reset();
    environment_.loop = &loop_;
    environment_.mailbox = &mailbox_;
    environment_.courier = &courier_;
    environment_.dedupe = &dedupe_;
    environment_.clock = &base::system_clock();
    environment_.dirty = &dirty_;
    environment_.receivers = &receivers_;
    environment_.make_store = [this](const store::StoreOptions&,
                                     StoreClient* client) -> base::Result<std::unique_ptr<Store>> {
      client_ = client;
      auto store = std::make_unique<FakeStore>();
      store_ = store.get();
      return base::Result<std::unique_ptr<Store>>(std::move(store));
    };
    partner_.id = 1;
    partner_.partner_code = "test";
    lane_ = std::make_unique<Lane>(partner_, 0, 1, environment_);
  }

  Postback& make(const std::string& id, Reason reason = Reason::none) {
    postbacks_.push_back(std::make_unique<Postback>());
    Postback& postback = *postbacks_.back();
    postback.conversion.partner_id = 1;
    postback.conversion.received_at_us = 1'795'000'000'000'000;
    postback.conversion.reason = reason;
    postback.conversion.set(Field::conversion_id, id);
    postback.conversion.set(Field::raw_data, "{}");
    postback.origin = this;
    return postback;
  }
  Postback& add(const std::string& id, Reason reason = Reason::none) {
    Postback& postback = make(id, reason);
    lane_->add(postback);
    return postback;
  }
  void receive(Message& message) override {
    if (static_cast<Message*>(&job_) == &message) {
      ++job_returned_;
      return;
    }
    answered_.push_back(static_cast<Postback*>(&message));
  }
  // The end of a turn.
  void turn() {
    std::vector<Lane*> dirty;
    dirty.swap(dirty_);
    for (Lane* lane : dirty) lane->flush();
    courier_.deliver_local();
  }
  void finish_batch(BatchResult result, RowResult row_result = RowResult::stored) {
    ASSERT_FALSE(store_->submitted.empty());
    Batch* batch = store_->submitted.front();
    store_->submitted.pop_front();
    for (BatchRow& row : batch->conversions) row.result = row_result;
    batch->result = result;
    batch->inserted = result == BatchResult::committed && row_result == RowResult::stored &&
                      !batch->conversions.empty();
    batch->error = "told by the test";
    client_->batch_done(*batch);
    turn();
  }
  void set_state(StoreState state) {
    store_->current.state = state;
    client_->store_changed();
    turn();
  }

  FakeLoop loop_;
  io::Mailbox mailbox_{&loop_};
  io::Courier courier_{0, 1};
  DedupeSet dedupe_{1000};
  std::vector<LaneReceivers> receivers_{1};
  std::vector<Lane*> dirty_;
  LaneEnvironment environment_;
  Partner partner_;
  StoreClient* client_ = nullptr;
  FakeStore* store_ = nullptr;
  std::vector<std::unique_ptr<Postback>> postbacks_;
  std::vector<Postback*> answered_;
  ReadJob job_;
  int job_returned_ = 0;
  std::unique_ptr<Lane> lane_;
};

}  // namespace postback::ingest
