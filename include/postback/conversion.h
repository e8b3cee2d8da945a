// One postback in the form in which it travels: mapped and checked on the connection's core, then
// through lane, batch and store. Flat: all text stands in one buffer, fields are offsets into it,
// so the object is reused without allocation and can be written to a journal as it is.
//
// Either a conversion (reason == none: a row of partner_conversions) or a quarantined postback
// (a row of postback_quarantine).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "postback/decimal.h"
#include "postback/reason.h"

namespace postback {

enum class Field : uint8_t {
  conversion_id,     // 1 to 255 bytes of UTF-8 without control bytes, when reason == none.
  offer_id,          // At most 50 characters.
  offer_name,        //
  media_id,          // At most 255 characters, like sub_id and click_id.
  sub_id,            //
  click_id,          //
  processing_error,  // Why the row needs a person; several notes are joined by "; ".
  raw_data,          // One JSON object: every parameter as it came plus the mapped names.
  request_headers,   // One JSON object.
  request_ip,        // At most 45 characters.
  // Quarantine only:
  fault_field,    // The parameter at fault, if one is.
  fault_message,  // For a person, in English.
  method,         // "GET", "POST".
  target,         // Request target as it came (printable ASCII).
  body,           // Request body as it came: any bytes.
  kCount,
};

class Conversion {
 public:
  // The text, or an empty view when absent. Valid until the next set() or clear().
  std::string_view text(Field field) const {
    const Span& span = spans_[static_cast<size_t>(field)];
    return has(field) ? std::string_view(bytes_.data() + span.offset, span.size)
                      : std::string_view();
  }
  bool has(Field field) const { return (present_ & bit(field)) != 0; }
  // Copies `value`; an empty value is present. Setting a field again wastes its old bytes.
  // `value` must not point into this object, except where it is the text of a field.
  void set(Field field, std::string_view value) {
    spans_[static_cast<size_t>(field)] = {static_cast<uint32_t>(bytes_.size()),
                                          static_cast<uint32_t>(value.size())};
    present_ |= bit(field);
    bytes_.append(value);
  }
  void unset(Field field) { present_ &= ~bit(field); }
  size_t byte_count() const { return bytes_.size(); }

  // Forgets everything. Keeps the buffer, unless one large postback made it huge.
  void clear() {
    present_ = 0;
    bytes_.clear(kBufferBytesKept);
    id = 0;
    partner_id = 0;
    received_at_us = 0;
    reason = Reason::none;
    conversion_datetime_us.reset();
    usd_sale_amount.reset();
    usd_earning.reset();
  }

  int64_t id = 0;  // Made by the lane: grows with time, unique. Row id of either table.
  int32_t partner_id = 0;
  int64_t received_at_us = 0;  // Microseconds since the Unix epoch, UTC. Also created_at.
  Reason reason = Reason::none;
  std::optional<int64_t> conversion_datetime_us;  // As received_at_us.
  std::optional<Decimal> usd_sale_amount;
  std::optional<Decimal> usd_earning;

 private:
  static constexpr size_t kBufferBytesKept = 16 * 1024;
  // What of std::string is needed here, inlined: a postback sets some ten fields.
  class Bytes {
   public:
    Bytes() = default;
    Bytes(const Bytes& other) { append({other.data(), other.size_}); }
    Bytes& operator=(const Bytes& other) {
      if (this != &other) *this = Bytes(other);
      return *this;
    }
    Bytes(Bytes&& other) noexcept
        : memory_(std::move(other.memory_)),
          size_(std::exchange(other.size_, 0)),
          capacity_(std::exchange(other.capacity_, 0)) {}
    Bytes& operator=(Bytes&& other) noexcept {
      memory_ = std::move(other.memory_);
      size_ = std::exchange(other.size_, 0);
      capacity_ = std::exchange(other.capacity_, 0);
      return *this;
    }
    const char* data() const { return memory_.get(); }
    size_t size() const { return size_; }
    // `text` may lie in here.
    void append(std::string_view text) {
      std::unique_ptr<char[]> old;
      if (capacity_ - size_ < text.size()) old = grow(text.size());
      if (!text.empty()) std::memcpy(memory_.get() + size_, text.data(), text.size());
      size_ += text.size();
    }
    // Keeps the memory, if it is no more than that.
    void clear(size_t bytes_kept) {
      size_ = 0;
      if (capacity_ > bytes_kept) *this = Bytes();
    }

   private:
    // Makes room for so many bytes; returns the memory before.
    [[gnu::noinline]] std::unique_ptr<char[]> grow(size_t bytes) {
      capacity_ = 2 * (size_ + bytes);
      auto larger = std::make_unique_for_overwrite<char[]>(capacity_);
      if (size_ > 0) std::memcpy(larger.get(), memory_.get(), size_);
      memory_.swap(larger);
      return larger;
    }

    std::unique_ptr<char[]> memory_;
    size_t size_ = 0;
    size_t capacity_ = 0;
  };
  struct Span {
    uint32_t offset = 0;
    uint32_t size = 0;
  };
  static_assert(static_cast<size_t>(Field::kCount) <= 32);
  static constexpr uint32_t bit(Field field) { return 1u << static_cast<unsigned>(field); }

  uint32_t present_ = 0;  // A bit per field; only the spans of these mean anything.
  std::array<Span, static_cast<size_t>(Field::kCount)> spans_{};
  Bytes bytes_;
};

}  // namespace postback
