// Counts allocations of the hot path: a program of its own, because it replaces operator new.
#include <gtest/gtest.h>

#include <cstdlib>
#include <new>

#include "reader_fixture.h"

namespace {
thread_local long allocation_count = 0;
}  // namespace

// Every form, so that a sanitizer's own operators never meet ours.
void* operator new(size_t size) {
  ++allocation_count;
  void* memory = std::malloc(size);
  if (memory == nullptr) std::abort();
  return memory;
}
void* operator new[](size_t size) {
  return operator new(size);
}
void* operator new(size_t size, const std::nothrow_t&) noexcept {
  return operator new(size);
}
void* operator new[](size_t size, const std::nothrow_t&) noexcept {
  return operator new(size);
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, size_t) noexcept {
  std::free(memory);
}
void operator delete[](void* memory) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, size_t) noexcept {
  std::free(memory);
}
void operator delete(void* memory, const std::nothrow_t&) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, const std::nothrow_t&) noexcept {
  std::free(memory);
}

namespace postback::conversion {
namespace {

// Allocations of 100 postbacks like `raw`, after a warm-up.
long allocations(const Partner& partner, const RawPostback& raw) {
  auto mapping = Mapping::compile(partner).take();
  Reader reader;
  Conversion out;
  for (int i = 0; i < 3; ++i) EXPECT_EQ(reader.read(*mapping, raw, &out), Reason::none);
  const long before = allocation_count;
  for (int i = 0; i < 100; ++i) {
    if (reader.read(*mapping, raw, &out) != Reason::none) std::abort();
  }
  return allocation_count - before;
}

constexpr Header kHeaders[] = {{"Host", "localhost:8000"}, {"User-Agent", "Involve/1.0"}};

TEST(Allocation, CountsAtAll) {
  const long before = allocation_count;
  delete new int(1);
  EXPECT_EQ(allocation_count - before, 1);
}

TEST(Allocation, AGetOfInvolveAsiaNeedsNone) {
  RawPostback raw;
  raw.method = "GET";
  raw.query =
      "aff_sub=test123&aff_sub2=media456&aff_sub3=click789&usd_sale_amount=99.99&usd_payout=9.99"
      "&offer_name=Caf%C3%A9+Test&conversion_id=conv001&datetime_conversion=2025-01-15+10%3A20:30";
  raw.headers = kHeaders;
  raw.request_ip = "203.0.113.7";
  EXPECT_EQ(allocations(involve_asia(), raw), 0);
}

TEST(Allocation, AZoneWithRulesNeedsNone) {
  RawPostback raw;
  raw.method = "GET";
  raw.query = "conversion_id=conv001&conversion_datetime=2025-07-15";
  Partner partner = involve_asia();
  partner.timezone = "America/New_York";
  EXPECT_EQ(allocations(partner, raw), 0);
}

TEST(Allocation, APostWithJsonNeedsNone) {
  RawPostback raw;
  raw.method = "POST";
  raw.content_type = "application/json";
  raw.body =
      R"({"conversion_id":"c1","usd_payout":9.99,"sub_id":"a\u0000b","items":[1,{"a":"b"}]})";
  raw.headers = kHeaders;
  EXPECT_EQ(allocations(involve_asia(), raw), 0);
}

}  // namespace
}  // namespace postback::conversion
