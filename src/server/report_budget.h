// The memory that reports (pages, statistics, health, metrics) may take over the whole process,
// from the question until the client has taken the answer. One number, which the cores and the
// report desk share; beyond it a report is answered 503. Any thread.
#pragma once

#include <atomic>
#include <cstddef>
#include <string>
#include <utility>

namespace postback::server {

class ReportBudget {
 public:
  explicit ReportBudget(size_t bytes_max) : bytes_max_(bytes_max) {}
  ReportBudget(const ReportBudget&) = delete;
  ReportBudget& operator=(const ReportBudget&) = delete;

  [[nodiscard]] bool take(size_t bytes) {
    size_t used = used_.load(std::memory_order_relaxed);
    do {
      if (bytes > bytes_max_ - used) return false;
    } while (!used_.compare_exchange_weak(used, used + bytes, std::memory_order_relaxed));
    return true;
  }
  void give_back(size_t bytes) { used_.fetch_sub(bytes, std::memory_order_relaxed); }
  size_t used() const { return used_.load(std::memory_order_relaxed); }

 private:
  const size_t bytes_max_;
  std::atomic<size_t> used_{0};
};

// One report's part of the budget, given back when it is destroyed. Without a budget it is nothing.
class ReportLease {
 public:
  ReportLease() = default;
  explicit ReportLease(ReportBudget* budget) : budget_(budget) {}
  ReportLease(ReportLease&& other) noexcept
      : budget_(std::exchange(other.budget_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  ReportLease& operator=(ReportLease&& other) noexcept {
    std::swap(budget_, other.budget_);
    std::swap(bytes_, other.bytes_);
    other.end();
    return *this;
  }
  ~ReportLease() { end(); }

  // False, and unchanged, when the budget has not that much left. Shrinking always succeeds.
  [[nodiscard]] bool resize(size_t bytes) {
    if (budget_ == nullptr) return true;
    if (bytes > bytes_ && !budget_->take(bytes - bytes_)) return false;
    if (bytes < bytes_) budget_->give_back(bytes_ - bytes);
    bytes_ = bytes;
    return true;
  }
  size_t bytes() const { return bytes_; }
  void end() {
    if (budget_ != nullptr) budget_->give_back(bytes_);
    budget_ = nullptr;
    bytes_ = 0;
  }

 private:
  ReportBudget* budget_ = nullptr;
  size_t bytes_ = 0;
};

// An answer's body that is handed over instead of copied, with the memory that is set aside for it.
struct ReportBody {
  std::string text;
  ReportLease lease;
};

}  // namespace postback::server
