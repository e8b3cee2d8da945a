// The result of a cold-path operation (start, configuration, tools). A message says what failed,
// why we think so and what the operator can do.
#pragma once

#include <string>
#include <utility>

#include "base/check.h"

namespace postback::base {

class [[nodiscard]] Status {
 public:
  Status() = default;  // Success.
  static Status error(std::string message) {
    Status status;
    status.failed_ = true;
    status.message_ = std::move(message);
    return status;
  }
  bool ok() const { return !failed_; }
  const std::string& message() const { return message_; }

 private:
  bool failed_ = false;
  std::string message_;
};

// A value or the status that says why there is none.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}         // NOLINT(google-explicit-constructor)
  Result(Status status) : status_(std::move(status)) {  // NOLINT(google-explicit-constructor)
    CHECK(!status_.ok());
  }
  bool ok() const { return status_.ok(); }
  const Status& status() const { return status_; }
  T& value() {
    CHECK(ok());
    return value_;
  }
  T take() {
    CHECK(ok());
    return std::move(value_);
  }

 private:
  T value_{};
  Status status_;
};

}  // namespace postback::base
