// Little-endian integers in byte strings. The caller has checked that the bytes are there.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace postback::journal {

// `T` unsigned, also unsigned __int128 (which std::make_unsigned does not know in strict mode).
template <typename T>
void put(char* out, T value) {
  for (size_t i = 0; i < sizeof(T); ++i) {
    out[i] = static_cast<char>(static_cast<unsigned char>(value >> (8 * i)));
  }
}

template <typename T>
void append(std::string* out, T value) {
  char bytes[sizeof(T)];
  put<T>(bytes, value);
  out->append(bytes, sizeof bytes);
}

template <typename T>
T get(const char* in) {
  T value = 0;
  for (size_t i = 0; i < sizeof(T); ++i) {
    value = static_cast<T>(value | static_cast<T>(static_cast<unsigned char>(in[i])) << (8 * i));
  }
  return value;
}

// Takes integers off the front of a string; after the first that is not there, fails for good.
class Taker {
 public:
  explicit Taker(std::string_view bytes) : bytes_(bytes) {}
  template <typename T>
  T take() {
    if (bytes_.size() < sizeof(T)) {
      failed_ = true;
      bytes_ = {};
      return 0;
    }
    const T value = get<T>(bytes_.data());
    bytes_.remove_prefix(sizeof(T));
    return value;
  }
  std::string_view take_text(size_t size) {
    if (bytes_.size() < size) {
      failed_ = true;
      bytes_ = {};
      return {};
    }
    const std::string_view text = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return text;
  }
  bool failed() const { return failed_; }
  size_t left() const { return bytes_.size(); }

 private:
  std::string_view bytes_;
  bool failed_ = false;
};

}  // namespace postback::journal
