// A lane's way into the journal, over a real journal: what is reported durable can be read, once,
// and in parts of any size.
#include "ingest/spill.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "journal/reader.h"

namespace postback::ingest {
namespace {

class SpillTest : public ::testing::Test, public SpillClient {
 protected:
  SpillTest() {
    folder_ = std::filesystem::temp_directory_path() / "postback-spill-XXXXXX";
    EXPECT_NE(mkdtemp(folder_.data()), nullptr);
    journal::WriterOptions options;
    options.folder = folder_ + "/journal";
    options.segment_bytes = 256 * 1024;
    auto writer = journal::Writer::open(std::move(options));
    EXPECT_TRUE(writer.ok()) << writer.status().message();
    writer_ = writer.take();
  }
  ~SpillTest() override {
    writer_.reset();  // Its thread may still be preparing a file there.
    std::filesystem::remove_all(folder_);
  }

  Postback& make(int64_t id) {
    postbacks_.push_back(std::make_unique<Postback>());
    Conversion& conversion = postbacks_.back()->conversion;
    conversion.id = id;
    conversion.partner_id = 1;
    conversion.received_at_us = 1'795'000'000'000'000;
    conversion.set(Field::conversion_id, "conversion-" + std::to_string(id));
    return *postbacks_.back();
  }
  void spilled(const std::vector<Postback*>& postbacks, const std::vector<int64_t>& forgotten,
               bool durable) override {
    for (const Postback* postback : postbacks) {
      (durable ? durable_ : failed_).push_back(postback->conversion.id);
    }
    forgotten_.insert(forgotten_.end(), forgotten.begin(), forgotten.end());
  }
  void flush_until_idle(Spill* spill) {
    while (!spill->idle()) {
      spill->flush();
      mailbox_.wait();
      mailbox_.drain();
    }
  }
  // What the journal holds; the writer is closed for it.
  std::vector<int64_t> read_journal() {
    writer_.reset();
    journal::ReaderOptions options;
    options.frames.disk = &journal::real_disk();
    options.frames.folder = folder_ + "/journal";
    options.frames.segments =
        journal::list_segments(options.frames.disk, options.frames.folder).take();
    options.include_drained = true;
    journal::Reader reader(std::move(options));
    std::vector<int64_t> ids;
    for (auto step = reader.next(); step != journal::ReaderStep::end; step = reader.next()) {
      if (step == journal::ReaderStep::failed) {
        ADD_FAILURE() << reader.status().message();
        break;
      }
      if (step == journal::ReaderStep::gap) {
        ADD_FAILURE() << journal::gap_text(reader.gap());
        continue;
      }
      ids.push_back(reader.conversion().id);
    }
    return ids;
  }

  std::string folder_;
  io::Mailbox mailbox_{nullptr};
  std::unique_ptr<journal::Writer> writer_;
  std::vector<std::unique_ptr<Postback>> postbacks_;
  std::vector<int64_t> durable_;
  std::vector<int64_t> failed_;
  std::vector<int64_t> forgotten_;
};

TEST_F(SpillTest, EachRecordIsInTheJournalOnceHoweverItsPartsOverflow) {
  std::vector<int64_t> ids;
  for (const size_t part_bytes_max : {1, 100, 300, 1000, 100'000}) {
    Spill spill(writer_.get(), part_bytes_max, &mailbox_, this);
    for (int i = 0; i < 40; ++i) {
      ids.push_back(static_cast<int64_t>(ids.size() + 1));
      ASSERT_TRUE(spill.add(make(ids.back()), 1));
    }
    flush_until_idle(&spill);
  }
  EXPECT_EQ(durable_, ids);
  EXPECT_TRUE(failed_.empty());
  EXPECT_EQ(read_journal(), ids);
}

TEST_F(SpillTest, APostbackThatIsForgottenIsNotReportedButItsRecordIs) {
  Spill spill(writer_.get(), 100'000, &mailbox_, this);
  Postback* middle = nullptr;
  for (int64_t id = 1; id <= 3; ++id) {
    Postback& postback = make(id);
    ASSERT_TRUE(spill.add(postback, 1));
    if (id == 2) middle = &postback;
  }
  spill.forget(*middle);
  flush_until_idle(&spill);
  EXPECT_EQ(durable_, (std::vector<int64_t>{1, 3}));
  EXPECT_EQ(forgotten_, (std::vector<int64_t>{2}));
  EXPECT_EQ(read_journal(), (std::vector<int64_t>{1, 2, 3}));
}

TEST_F(SpillTest, WhatWaitsTooLongIsReportedOnceAsNotDurable) {
  Spill spill(writer_.get(), 1, &mailbox_, this);
  for (int64_t id = 1; id <= 6; ++id) ASSERT_TRUE(spill.add(make(id), static_cast<uint64_t>(id)));
  spill.flush();  // The writer has the first parts; their answers are not looked at yet.
  spill.give_up_before(5);
  EXPECT_EQ(failed_, (std::vector<int64_t>{1, 2, 3, 4}));
  flush_until_idle(&spill);
  EXPECT_EQ(failed_.size(), 4u) << "an answer that comes late is for nobody";
  EXPECT_EQ(durable_, (std::vector<int64_t>{5, 6}));
}

}  // namespace
}  // namespace postback::ingest
