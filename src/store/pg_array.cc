#include "store/pg_array.h"

#include <bit>
#include <cstring>

#include "base/check.h"

namespace postback::store {
namespace {

constexpr int64_t kEpochOffsetUs = 946'684'800'000'000;  // 1970-01-01 to 2000-01-01.

static_assert(std::endian::native == std::endian::little);  // So the bytes are turned round.

}  // namespace

char* put_int4(char* to, int32_t value) {
  const uint32_t turned = __builtin_bswap32(static_cast<uint32_t>(value));
  std::memcpy(to, &turned, sizeof turned);
  return to + sizeof turned;
}

char* put_int8(char* to, int64_t value) {
  const uint64_t turned = __builtin_bswap64(static_cast<uint64_t>(value));
  std::memcpy(to, &turned, sizeof turned);
  return to + sizeof turned;
}

char* put_timestamptz(char* to, int64_t time_us) {
  int64_t shifted = 0;
  // INT64_MIN itself would mean -infinity; one more is out of range and refused (22008).
  if (__builtin_sub_overflow(time_us, kEpochOffsetUs, &shifted)) shifted = INT64_MIN + 1;
  return put_int8(to, shifted);
}

PgArrayWriter::PgArrayWriter(base::TextBuffer* out, PgType type, size_t count)
    : out_(out), start_(out->size()) {
  CHECK(count <= INT32_MAX);
  char* to = out->open(20);
  to = put_int4(to, 1);
  to = put_int4(to, 0);
  to = put_int4(to, static_cast<int32_t>(type));
  to = put_int4(to, static_cast<int32_t>(count));
  out->close(put_int4(to, 1));
}

void PgArrayWriter::add_null() {
  out_->close(put_int4(out_->open(4), -1));
  out_->data()[start_ + 7] = 1;  // The last byte of "has NULLs".
}

void PgArrayWriter::add_bytes(std::string_view bytes) {
  CHECK(bytes.size() <= INT32_MAX);
  char* const to = out_->open(4 + bytes.size());
  out_->close(base::put_short(put_int4(to, static_cast<int32_t>(bytes.size())), bytes));
}

void PgArrayWriter::add_int8(int64_t value) {
  out_->close(put_int8(put_int4(out_->open(12), 8), value));
}

void PgArrayWriter::add_timestamptz(int64_t time_us) {
  out_->close(put_timestamptz(put_int4(out_->open(12), 8), time_us));
}

void PgArrayWriter::add_decimal(const Decimal& value) {
  char* const to = out_->open(4 + Decimal::kTextBytesMax);
  char* const end = value.write_to(to + 4);
  put_int4(to, static_cast<int32_t>(end - to - 4));
  out_->close(end);
}

}  // namespace postback::store
