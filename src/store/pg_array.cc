#include "store/pg_array.h"

#include <cstring>

#include "base/check.h"

namespace postback::store {
namespace {

constexpr int64_t kEpochOffsetUs = 946'684'800'000'000;  // 1970-01-01 to 2000-01-01.

template <typename T>
void append_big_endian(std::string* out, T value) {
  char bytes[sizeof value];
  for (size_t i = 0; i < sizeof value; ++i) {
    bytes[i] = static_cast<char>(value >> (8 * (sizeof value - 1 - i)));
  }
  out->append(bytes, sizeof bytes);
}

}  // namespace

void append_int4(std::string* out, int32_t value) {
  append_big_endian(out, static_cast<uint32_t>(value));
}

void append_int8(std::string* out, int64_t value) {
  append_big_endian(out, static_cast<uint64_t>(value));
}

void append_timestamptz(std::string* out, int64_t time_us) {
  int64_t shifted = 0;
  // INT64_MIN itself would mean -infinity; one more is out of range and refused (22008).
  if (__builtin_sub_overflow(time_us, kEpochOffsetUs, &shifted)) shifted = INT64_MIN + 1;
  append_int8(out, shifted);
}

PgArrayWriter::PgArrayWriter(std::string* out, PgType type, size_t count)
    : out_(out), start_(out->size()) {
  CHECK(count <= INT32_MAX);
  append_int4(out, 1);
  append_int4(out, 0);
  append_int4(out, static_cast<int32_t>(type));
  append_int4(out, static_cast<int32_t>(count));
  append_int4(out, 1);
}

void PgArrayWriter::add_null() {
  append_int4(out_, -1);
  (*out_)[start_ + 7] = 1;  // The last byte of "has NULLs".
}

void PgArrayWriter::add_bytes(std::string_view bytes) {
  CHECK(bytes.size() <= INT32_MAX);
  append_int4(out_, static_cast<int32_t>(bytes.size()));
  out_->append(bytes);
}

void PgArrayWriter::add_int8(int64_t value) {
  append_int4(out_, 8);
  append_int8(out_, value);
}

void PgArrayWriter::add_timestamptz(int64_t time_us) {
  append_int4(out_, 8);
  append_timestamptz(out_, time_us);
}

}  // namespace postback::store
