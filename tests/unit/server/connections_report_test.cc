// Reports on connections: a client has one at a time, and its memory is counted until the client
// has taken it.
#include "connections_fixture.h"
#include "server/report_budget.h"

namespace postback::server {
namespace {

constexpr size_t kBytes = 3 * kSendBytesMax / 2;  // Of a report: more than one send.

class ConnectionsReportTest : public ConnectionsFixture {
 protected:
  ConnectionsReportTest() { answer_at_once_ = false; }

  uint64_t handle(const ExchangeId& id, const http::Request& request,
                  std::string_view peer_ip) override {
    if (request.path.starts_with("/report")) connections_.begin_report(id);
    return ConnectionsFixture::handle(id, request, peer_ip);
  }
  // Answers the n-th request with a report of so many bytes.
  void answer_report(size_t number, size_t bytes) {
    ReportBody body{std::string(bytes, 'x'), ReportLease(&budget_)};
    ASSERT_TRUE(body.lease.resize(bytes));
    connections_.answer(ids_[number], {.report = &body});
    connections_.flush();
  }

  ReportBudget budget_{10 * kBytes};
};

TEST_F(ConnectionsReportTest, NothingMoreIsReadOfAClientUntilItHasTakenItsReport) {
  const uint32_t client = connect();
  std::string requests;
  for (int i = 0; i < 16; ++i) requests += request("/report");
  arrive(client, requests);
  EXPECT_EQ(handled_.size(), 1u) << "the others wait with us";
  EXPECT_FALSE(socket(client).receiving) << "and those behind them in the kernel";
  answer_report(0, kBytes);
  EXPECT_EQ(budget_.used(), kBytes);
  std::string answer = take(client);  // The head.
  size_t pieces = 0;
  while (handled_.size() == 1) {
    EXPECT_LE(socket(client).sending.size(), kSendBytesMax);
    EXPECT_EQ(budget_.used(), kBytes) << "until the last byte is taken";
    answer += take(client);
    ASSERT_LT(++pieces, 10u);
  }
  EXPECT_EQ(budget_.used(), 0u);
  EXPECT_NE(answer.find("Content-Length: " + std::to_string(kBytes) + "\r\n"), std::string::npos);
  EXPECT_EQ(answer.substr(answer.find("\r\n\r\n") + 4), std::string(kBytes, 'x'));
  for (size_t i = 1; i < 16; ++i) {
    ASSERT_EQ(handled_.size(), i + 1);
    EXPECT_FALSE(socket(client).receiving);
    answer_report(i, 100);
    EXPECT_TRUE(take_all(client).ends_with("xxx"));
  }
  EXPECT_EQ(handled_.size(), 16u);
  EXPECT_EQ(budget_.used(), 0u);
  EXPECT_TRUE(socket(client).receiving);
}

TEST_F(ConnectionsReportTest, AReportIsSentBehindTheAnswersToWhatWasAskedBefore) {
  const uint32_t client = connect();
  arrive(client, request("/1") + request("/2") + request("/report", "Connection: close\r\n"));
  ASSERT_EQ(handled_.size(), 3u);
  answer_report(2, kBytes);
  answer(1, "second");
  EXPECT_EQ(take_all(client), "");
  answer(0, "first");
  const std::string answers = take_all(client);
  EXPECT_LT(answers.find("first"), answers.find("second"));
  EXPECT_LT(answers.find("second"), answers.find("Content-Length: " + std::to_string(kBytes)));
  EXPECT_TRUE(answers.ends_with("xxx"));
  EXPECT_EQ(count(answers, "HTTP/1.1 200"), 3u);
  EXPECT_EQ(budget_.used(), 0u);
  EXPECT_TRUE(socket(client).closing) << "as it was asked";
}

TEST_F(ConnectionsReportTest, TheMemoryOfAClientThatIsGoneIsGivenBack) {
  const uint32_t client = connect();
  arrive(client, request("/report"));
  answer_report(0, kBytes);
  EXPECT_FALSE(take(client).empty());
  EXPECT_EQ(budget_.used(), kBytes);
  vanish(client);
  EXPECT_EQ(budget_.used(), 0u);
  // The slot is as new: the next client is read on.
  const uint32_t next = connect();
  arrive(next, request("/1") + request("/2"));
  EXPECT_EQ(handled_.size(), 3u);
}

TEST_F(ConnectionsReportTest, OneThatComesTooLateIsForgottenWithItsMemory) {
  const uint32_t client = connect();
  arrive(client, request("/report") + request("/1"));
  pass(kReadLimitNs + 1);
  EXPECT_EQ(timed_out_, 1);
  EXPECT_NE(take_all(client).find(" 503 "), std::string::npos);
  ASSERT_EQ(handled_.size(), 2u) << "the client is read on";
  answer_report(0, kBytes);
  EXPECT_EQ(budget_.used(), 0u);
  EXPECT_EQ(take_all(client), "");
  answer(1, "one");
  EXPECT_TRUE(take_all(client).ends_with("one"));
}

TEST_F(ConnectionsReportTest, AHeadRequestGetsTheLengthAndNoBody) {
  const uint32_t client = connect();
  arrive(client, "HEAD /report HTTP/1.1\r\nHost: a\r\n\r\n");
  answer_report(0, kBytes);
  const std::string answer = take_all(client);
  EXPECT_NE(answer.find("Content-Length: " + std::to_string(kBytes)), std::string::npos);
  EXPECT_TRUE(answer.ends_with("\r\n\r\n"));
  EXPECT_EQ(budget_.used(), 0u);
  EXPECT_TRUE(socket(client).receiving);
}

TEST(ReportBudget, IsNeverExceededAndComesBackWhole) {
  ReportBudget budget(100);
  ReportLease first(&budget);
  ReportLease second(&budget);
  EXPECT_TRUE(first.resize(60));
  EXPECT_FALSE(second.resize(41));
  EXPECT_EQ(budget.used(), 60u);
  EXPECT_TRUE(second.resize(40));
  EXPECT_FALSE(first.resize(61)) << "and it keeps what it has";
  EXPECT_TRUE(first.resize(10));
  EXPECT_TRUE(second.resize(90));
  second = std::move(first);
  EXPECT_EQ(budget.used(), 10u);
  second.end();
  EXPECT_EQ(budget.used(), 0u);
  ReportLease none;
  EXPECT_TRUE(none.resize(SIZE_MAX));
}

}  // namespace
}  // namespace postback::server
