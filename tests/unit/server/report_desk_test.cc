// The report desk over mailboxes of its own: this thread is the only core, and the lanes on it.
#include "server/report_desk.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "server/limits.h"

namespace postback::server {
namespace {

// Collects what it receives.
class Collector final : public MessageReceiver {
 public:
  void receive(Message& message) override { reports.push_back(static_cast<ReadReport*>(&message)); }
  std::vector<ReadReport*> reports;
};

class ReportDeskTest : public ::testing::Test {
 protected:
  ReportDeskTest() : desk_(&base::system_clock(), &mailboxes_, &lanes_) {
    entry_.partner.partner_name = "Acme";
    entry_.partner.endpoint_path = "/acme";
    desk_.start();
  }

  std::unique_ptr<ReadReport> report(int32_t partner_id, StoreRead::Kind kind) {
    auto report = std::make_unique<ReadReport>();
    report->kind = kind;
    report->partner_id = partner_id;
    report->partner = &entry_;
    report->asker = &answers_;
    report->give_up_at_ns = UINT64_MAX;
    report->body.lease = ReportLease(desk_.budget());
    EXPECT_TRUE(report->body.lease.resize(kReportWaitingBytes));
    return report;
  }
  void ask(int32_t partner_id, StoreRead::Kind kind = StoreRead::Kind::conversions) {
    owned_.push_back(report(partner_id, kind));
    desk_.ask(*owned_.back());
  }
  // Until so many have reached the lanes and been given back.
  void wait(size_t read, size_t answered) {
    while (read_.reports.size() < read || answers_.reports.size() < answered) {
      mailbox_.wait();
      mailbox_.drain();
    }
    EXPECT_EQ(read_.reports.size(), read);
    EXPECT_EQ(answers_.reports.size(), answered);
  }
  // The lanes have read it: so many rows of so many bytes.
  void deliver(ReadReport* report, size_t rows = 1, size_t bytes = 10) {
    report->ok = true;
    for (size_t i = 0; i < rows; ++i) {
      report->conversions.emplace_back().raw_data = '"' + std::string(bytes, 'x') + '"';
    }
    desk_.deliver(*report);
  }

  partner::PartnerEntry entry_;
  io::Mailbox mailbox_{nullptr};
  std::vector<io::Mailbox*> mailboxes_{&mailbox_};
  Collector read_;
  Collector answers_;
  std::vector<ingest::LaneReceivers> lanes_{{nullptr, &read_, nullptr}};
  std::vector<std::unique_ptr<ReadReport>> owned_;
  ReportDesk desk_;  // Ends before what it uses.
};

TEST_F(ReportDeskTest, LetsOneReportOfAPartnerAndFewInAllBeReadAtOnce) {
  for (int i = 0; i < 3; ++i) ask(1);
  for (int32_t partner_id = 2; partner_id < 12; ++partner_id) ask(partner_id);
  wait(kReportsReadingMax, 0);
  std::vector<int32_t> partners;
  for (const ReadReport* reading : read_.reports) partners.push_back(reading->partner_id);
  EXPECT_EQ(partners, (std::vector<int32_t>{1, 2, 3, 4}));
  EXPECT_EQ(desk_.budget()->used(), kReportsReadingMax * kReportReadingBytes +
                                        (owned_.size() - kReportsReadingMax) * kReportWaitingBytes);
  deliver(read_.reports[2]);
  wait(kReportsReadingMax + 1, 1);
  EXPECT_EQ(read_.reports.back()->partner_id, 5) << "the second of partner 1 waits for the first";
  deliver(read_.reports[0]);
  wait(kReportsReadingMax + 2, 2);
  EXPECT_EQ(read_.reports.back()->partner_id, 1);
}

TEST_F(ReportDeskTest, WritesWhatWasReadAndKeepsOnlyTheText) {
  ask(1);
  wait(1, 0);
  deliver(read_.reports[0], 3, 1000);
  wait(1, 1);
  ReadReport& done = *answers_.reports[0];
  EXPECT_FALSE(done.refused);
  EXPECT_TRUE(done.body.text.starts_with("{\"partner\":\"Acme\""));
  EXPECT_GT(done.body.text.size(), 3000u);
  EXPECT_TRUE(done.conversions.empty());
  EXPECT_EQ(desk_.budget()->used(), kReportWaitingBytes + done.body.text.capacity());
  owned_.clear();
  EXPECT_EQ(desk_.budget()->used(), 0u);
}

TEST_F(ReportDeskTest, GivesAFailedReadBackWithoutText) {
  ask(1, StoreRead::Kind::stats);
  ask(1);
  wait(1, 0);
  desk_.deliver(*read_.reports[0]);  // Not ok.
  wait(2, 1);
  EXPECT_FALSE(answers_.reports[0]->refused);
  EXPECT_FALSE(answers_.reports[0]->ok);
  EXPECT_EQ(answers_.reports[0]->body.text, "");
}

TEST_F(ReportDeskTest, ReadsNothingForWhichNobodyWaitsAnyMore) {
  owned_.push_back(report(1, StoreRead::Kind::conversions));
  owned_.back()->give_up_at_ns = base::system_clock().monotonic_ns();
  desk_.ask(*owned_.back());
  wait(0, 1);
  EXPECT_TRUE(answers_.reports[0]->refused);
}

TEST_F(ReportDeskTest, RefusesWhatTheBudgetHasNoRoomFor) {
  // Answers that somebody does not take.
  ReportLease held(desk_.budget());
  ASSERT_TRUE(held.resize(kReportBytesMax - kReportReadingBytes / 2));
  ask(1);
  wait(0, 1);
  EXPECT_TRUE(answers_.reports[0]->refused);
  held.end();
  owned_.clear();
  ask(1);
  wait(1, 1);
  // A row that somebody wrote by hand is larger than what is left.
  held = ReportLease(desk_.budget());
  ASSERT_TRUE(held.resize(kReportBytesMax - kReportReadingBytes));
  deliver(read_.reports[0], 1, 2 * kReportReadingBytes);
  wait(1, 2);
  EXPECT_TRUE(answers_.reports[1]->refused);
  EXPECT_EQ(answers_.reports[1]->body.text.capacity(), std::string().capacity());
}

// Twelve clients who asked for pages of a mebibyte without a pause doubled the p99 of others.
TEST_F(ReportDeskTest, WritesNoMoreInASecondThanItsShare) {
  constexpr size_t kBytes = 1024 * 1024;
  constexpr size_t kCount = 8;
  const uint64_t began_ns = base::system_clock().monotonic_ns();
  for (size_t i = 0; i < kCount; ++i) {
    ask(1);
    wait(i + 1, i);
    deliver(read_.reports[i], 1, kBytes);
    wait(i + 1, i + 1);
  }
  const uint64_t took_ns = base::system_clock().monotonic_ns() - began_ns;
  EXPECT_GE(took_ns, (kCount - 1) * kBytes * kSecondNs / kReportBytesPerSecond - kReportBurstNs);
}

}  // namespace
}  // namespace postback::server
