#include "journal/record.h"

#include <gtest/gtest.h>

#include "base/crc32c.h"
#include "journal_fixture.h"

namespace postback::journal {
namespace {

void expect_same(const Conversion& a, const Conversion& b) {
  EXPECT_EQ(a.id, b.id);
  EXPECT_EQ(a.partner_id, b.partner_id);
  EXPECT_EQ(a.received_at_us, b.received_at_us);
  EXPECT_EQ(a.reason, b.reason);
  EXPECT_EQ(a.conversion_datetime_us, b.conversion_datetime_us);
  ASSERT_EQ(a.usd_sale_amount.has_value(), b.usd_sale_amount.has_value());
  ASSERT_EQ(a.usd_earning.has_value(), b.usd_earning.has_value());
  if (a.usd_sale_amount) {
    EXPECT_TRUE(a.usd_sale_amount->units == b.usd_sale_amount->units);
    EXPECT_EQ(a.usd_sale_amount->scale, b.usd_sale_amount->scale);
  }
  if (a.usd_earning) {
    EXPECT_TRUE(a.usd_earning->units == b.usd_earning->units);
    EXPECT_EQ(a.usd_earning->scale, b.usd_earning->scale);
  }
  for (size_t i = 0; i < static_cast<size_t>(Field::kCount); ++i) {
    const auto field = static_cast<Field>(i);
    EXPECT_EQ(a.has(field), b.has(field)) << i;
    EXPECT_EQ(a.text(field), b.text(field)) << i;
  }
}

void with_crc(std::string* record) {
  const uint32_t crc = base::crc32c(std::string_view(*record).substr(8));
  for (int i = 0; i < 4; ++i) (*record)[4 + i] = static_cast<char>(crc >> (8 * i));
}

TEST(Record, ComesBackWithEveryField) {
  const uint64_t seed = std::random_device()();
  RecordProperty("seed", std::to_string(seed));
  std::mt19937_64 random(seed);
  for (int i = 0; i < 500; ++i) {
    const Conversion before = random_conversion(&random);
    Conversion after = random_conversion(&random);  // Whatever was there is gone.
    ASSERT_EQ(decode_record(bytes_of(before), &after), RecordFault::none) << "seed " << seed;
    expect_same(before, after);
    if (HasFailure()) FAIL() << "seed " << seed;
  }
}

TEST(Record, KeepsTheDifferenceBetweenEmptyAndAbsent) {
  Conversion before;
  before.set(Field::sub_id, "");
  Conversion after;
  ASSERT_EQ(decode_record(bytes_of(before), &after), RecordFault::none);
  EXPECT_TRUE(after.has(Field::sub_id));
  EXPECT_FALSE(after.has(Field::click_id));
}

TEST(Record, KeepsTheLargestAmounts) {
  Conversion before;
  before.usd_sale_amount.emplace();
  ASSERT_TRUE(Decimal::parse("-999999999999999999.999999999999", &*before.usd_sale_amount));
  Conversion after;
  ASSERT_EQ(decode_record(bytes_of(before), &after), RecordFault::none);
  EXPECT_EQ(after.usd_sale_amount->to_string(), "-999999999999999999.999999999999");
}

TEST(Record, EveryFlippedBitIsNoticed) {
  const std::string record = bytes_of(make_conversion(5));
  Conversion out;
  for (size_t i = 0; i < record.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string bad = record;
      bad[i] = static_cast<char>(bad[i] ^ (1 << bit));
      EXPECT_NE(decode_record(bad, &out), RecordFault::none) << i;
    }
  }
}

TEST(Record, EveryCutIsNoticed) {
  const std::string record = bytes_of(make_conversion(5));
  Conversion out;
  for (size_t size = 0; size < record.size(); ++size) {
    EXPECT_NE(decode_record(std::string_view(record).substr(0, size), &out), RecordFault::none);
  }
  EXPECT_EQ(decode_record(record + '\0', &out), RecordFault::bad_size);
}

TEST(Record, EveryWrongValueBehindARightCrcIsAValueToHandle) {
  const uint64_t seed = std::random_device()();
  std::mt19937_64 random(seed);
  const std::string record = bytes_of(make_conversion(5));
  Conversion out;
  for (size_t i = 8; i < record.size(); ++i) {
    for (const int value : {0, 1, 0x7f, 0x80, 0xff, static_cast<int>(random() % 256)}) {
      std::string bad = record;
      bad[i] = static_cast<char>(value);
      with_crc(&bad);
      // Either it is a value that a conversion may have, and comes back as it is, or a fault.
      if (decode_record(bad, &out) == RecordFault::none) {
        EXPECT_EQ(bytes_of(out), bad) << seed;
      }
    }
  }
}

TEST(Record, SaysWhenALaterProgramMadeIt) {
  Conversion out;
  std::string record = bytes_of(make_conversion(5));
  record[9] = 3;
  with_crc(&record);
  EXPECT_EQ(decode_record(record, &out), RecordFault::unknown_version);
  record[8] = 2;
  with_crc(&record);
  EXPECT_EQ(decode_record(record, &out), RecordFault::unknown_type);
}

TEST(Record, TooLargeOnesAreNotMade) {
  Conversion large;
  large.set(Field::body, std::string(kRecordBytesMax, 'x'));
  std::string out = "before";
  EXPECT_FALSE(append_record(large, Owner(1), &out));
  EXPECT_EQ(out, "before");
  Append append;
  EXPECT_FALSE(append.add(large));
  EXPECT_EQ(append.record_count, 0u);
}

}  // namespace
}  // namespace postback::journal
