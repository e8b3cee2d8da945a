// Postbacks on their way from a connection to their lane, and back. What stands for the lanes is
// the test's.
#include "server/postback_handler.h"

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "connections_fixture.h"
#include "partner/shipped_partners.h"
#include "partner/table_builder.h"

namespace postback::server {
namespace {

using ingest::Outcome;
using ingest::Postback;

constexpr uint32_t kCores = 3;

class PostbackHandlerTest : public ConnectionsFixture {
 protected:
  // The lanes of one core.
  class Lanes final : public MessageReceiver {
   public:
    void receive(Message& message) override { arrived.push_back(static_cast<Postback*>(&message)); }
    std::vector<Postback*> arrived;
  };

  PostbackHandlerTest() {
    std::vector<io::Mailbox*> mailboxes;
    for (uint32_t core = 0; core < kCores; ++core) {
      mailboxes_.push_back(std::make_unique<io::Mailbox>(&loop_));
      mailboxes.push_back(mailboxes_.back().get());
      lanes_[core].postbacks = &doors_[core];
    }
    courier_.connect(mailboxes);
    partner::Partners rows;
    rows.partners.push_back(partner::shipped_partners()[1]);
    rows.partners[0].id = 7;
    rows.partners[0].lanes = 5;
    rows.partners[0].endpoint_path = "/p";
    tables_.replace(partner::next_table(nullptr, std::move(rows)).table);
    PostbackHandler::Environment environment;
    environment.settings = &settings_;
    environment.clock = &base::system_clock();
    environment.connections = &connections_;
    environment.courier = &courier_;
    environment.lanes = &lanes_;
    environment.tables = &tables_;
    handler_ = std::make_unique<PostbackHandler>(environment);
  }

  uint64_t handle(const ExchangeId& id, const http::Request& request,
                  std::string_view peer_ip) override {
    ids_.push_back(id);
    handler_->handle(id, request, peer_ip, entry());
    return kPostbackLimitNs;
  }
  const partner::PartnerEntry& entry() const { return *tables_.current()->entries()[0]; }
  // One postback; the core whose lanes got it, kCores if none did.
  uint32_t send(uint32_t client, const std::string& conversion_id, Postback** postback) {
    arrive(client, request("/p?conversion_id=" + conversion_id));
    courier_.deliver_local();
    courier_.post();
    for (const auto& mailbox : mailboxes_) mailbox->drain();
    uint32_t found = kCores;
    for (uint32_t core = 0; core < kCores; ++core) {
      for (Postback* arrived : doors_[core].arrived) {
        EXPECT_EQ(found, kCores) << "it went to two lanes";
        found = core;
        *postback = arrived;
      }
      doors_[core].arrived.clear();
    }
    return found;
  }
  std::string give_back(uint32_t client, Postback* postback, Outcome outcome) {
    postback->outcome = outcome;
    postback->origin->receive(*postback);
    connections_.flush();
    return take_all(client);
  }

  base::Settings settings_;
  std::vector<std::unique_ptr<io::Mailbox>> mailboxes_;
  io::Courier courier_{1, kCores};
  Lanes doors_[kCores];
  std::vector<ingest::LaneReceivers> lanes_{kCores};
  TableUses tables_;
  std::unique_ptr<PostbackHandler> handler_;
};

TEST_F(PostbackHandlerTest, EveryCopyOfAnIdGoesToTheLaneOfItsSlice) {
  const uint32_t client = connect();
  std::set<uint32_t> slices;
  for (int i = 0; i < 60; ++i) {
    const std::string id = "conversion-" + std::to_string(i / 2);
    Postback* postback = nullptr;
    const uint32_t core = send(client, id, &postback);
    ASSERT_NE(postback, nullptr);
    const uint32_t slice = ingest::slice_of(entry().partner, id);
    EXPECT_EQ(postback->slice, slice) << id;
    EXPECT_EQ(core, ingest::home_core(7, slice, kCores)) << id;
    EXPECT_EQ(postback->conversion.partner_id, 7);
    EXPECT_EQ(postback->conversion.text(Field::conversion_id), id);
    slices.insert(slice);
    EXPECT_NE(give_back(client, postback, Outcome::success).find("\"success\""), std::string::npos);
  }
  EXPECT_EQ(slices.size(), 5u) << "every lane has its share";
  EXPECT_TRUE(handler_->idle());
}

TEST_F(PostbackHandlerTest, EveryOutcomeHasItsAnswer) {
  const uint32_t client = connect();
  const std::vector<std::pair<Outcome, std::vector<const char*>>> answers = {
      {Outcome::success, {"HTTP/1.1 200", "\"status\":\"success\""}},
      {Outcome::accepted, {"HTTP/1.1 200", "\"status\":\"accepted\""}},
      {Outcome::duplicate, {"HTTP/1.1 200", "\"status\":\"duplicate\""}},
      {Outcome::unavailable, {"HTTP/1.1 503", "Retry-After: 5", "database_unavailable"}},
  };
  for (const auto& [outcome, parts] : answers) {
    Postback* postback = nullptr;
    send(client, "id", &postback);
    ASSERT_NE(postback, nullptr);
    const std::string answer = give_back(client, postback, outcome);
    for (const char* part : parts) EXPECT_NE(answer.find(part), std::string::npos) << answer;
  }
  EXPECT_TRUE(handler_->idle());
}

TEST_F(PostbackHandlerTest, APostbackThatIsAnsweredEarlyIsAnsweredOnce) {
  const uint32_t client = connect();
  Postback* postback = nullptr;
  send(client, "id", &postback);
  ASSERT_NE(postback, nullptr);
  postback->answered = true;
  postback->early.postback = postback;
  postback->early.outcome = Outcome::accepted;
  postback->origin_early->receive(postback->early);
  connections_.flush();
  EXPECT_NE(take_all(client).find("accepted"), std::string::npos);
  EXPECT_FALSE(handler_->idle()) << "its store still works on it";
  EXPECT_EQ(give_back(client, postback, Outcome::success), "");
  EXPECT_TRUE(handler_->idle());
  EXPECT_EQ(connections_.counters().answers_by_status[200], 1u);
}

TEST_F(PostbackHandlerTest, TheTableByWhichAPostbackCameIsKeptUntilItIsBack) {
  const uint32_t client = connect();
  Postback* postback = nullptr;
  send(client, "id", &postback);
  ASSERT_NE(postback, nullptr);
  const std::weak_ptr<const partner::PartnerEntry> kept = tables_.current()->entries()[0];
  tables_.replace(partner::next_table(nullptr, partner::Partners()).table);
  EXPECT_FALSE(kept.expired());
  give_back(client, postback, Outcome::success);
  EXPECT_TRUE(kept.expired());
}

}  // namespace
}  // namespace postback::server
