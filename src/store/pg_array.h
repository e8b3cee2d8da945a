// Values in PostgreSQL's binary parameter format: integers in network order, timestamps as
// microseconds since 2000-01-01, arrays as array_recv() in src/backend/utils/adt/arrayfuncs.c
// reads them:
//
//   int32 dimensions (1) | int32 has NULLs | int32 element type | int32 count | int32 lower bound
//   (1) then per element: int32 size in bytes, or -1 for NULL | the bytes
//
// Written into buffers that the caller keeps; no allocation once they have grown.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/text_buffer.h"
#include "postback/decimal.h"

namespace postback::store {

// Type numbers, fixed by src/include/catalog/pg_type.dat.
enum class PgType : uint32_t { bytea = 17, int8 = 20, text = 25, timestamptz = 1184 };

// At a place that has room; they return the end.
char* put_int4(char* to, int32_t value);
char* put_int8(char* to, int64_t value);
// `time_us`: since the Unix epoch. What PostgreSQL cannot hold is sent as a value that it refuses.
char* put_timestamptz(char* to, int64_t time_us);

// One array being written into a buffer. The number of elements is told first and must be kept.
class PgArrayWriter {
 public:
  PgArrayWriter(base::TextBuffer* out, PgType type, size_t count);

  void add_null();
  void add_bytes(std::string_view bytes);  // text and bytea.
  void add_int8(int64_t value);
  void add_timestamptz(int64_t time_us);
  void add_decimal(const Decimal& value);  // As text.

 private:
  base::TextBuffer* out_;
  size_t start_;
};

}  // namespace postback::store
