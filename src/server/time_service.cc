#include "server/time_service.h"

#include <chrono>
#include <utility>

#include "base/log.h"
#include "base/time_mark.h"

namespace postback::server {
namespace {

constexpr auto kLookEvery = std::chrono::seconds(1);
constexpr int64_t kSecondUs = 1'000'000;
// A process that is killed loses so much of the day that proves a clock, and nothing else.
constexpr int64_t kKeepEveryUs = 60 * kSecondUs;
// A database that has been away for longer says nothing about the time now.
constexpr int64_t kDatabaseSeenUs = 300 * kSecondUs;
constexpr int64_t kTellAgainUs = int64_t{6 * 3600} * kSecondUs;

}  // namespace

TimeService::TimeService(std::string data_dir)
    : data_dir_(std::move(data_dir)), guard_(base::load_mark(data_dir_)) {
  const std::lock_guard lock(mutex_);
  look();
}

TimeService::~TimeService() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  thread_.join();
  keep(true);
}

void TimeService::start() {
  keep(true);
  thread_ = std::thread(&TimeService::run, this);
}

void TimeService::run() {
  std::unique_lock lock(mutex_);
  while (!changed_.wait_for(lock, kLookEvery, [this] { return stopping_; })) {
    look();
    tell();
    const bool keep_now = std::exchange(keep_now_, false);
    lock.unlock();
    keep(keep_now);
    lock.lock();
  }
}

void TimeService::set_database_time(int64_t database_us) {
  const std::lock_guard lock(mutex_);
  const int64_t boot_us = base::boot_time_us();
  const bool is_first = !database_ahead_us_.has_value();
  database_ahead_us_ = database_us - boot_us;
  database_seen_us_ = boot_us;
  if (is_first) look();
}

base::TimeView TimeService::view() const {
  const std::lock_guard lock(mutex_);
  return guard_.view();
}

void TimeService::look() {
  base::TimeSample sample = base::sample_clocks();
  if (sample.boot_us - database_seen_us_ > kDatabaseSeenUs) database_ahead_us_.reset();
  if (database_ahead_us_.has_value()) sample.database_us = sample.boot_us + *database_ahead_us_;
  const base::ClockState before = guard_.view().state;
  const base::TimeView& view = guard_.look(sample);
  clock_.set(view);
  keep_now_ = keep_now_ || view.state != before;
}

void TimeService::tell() {
  const base::TimeView& view = guard_.view();
  const int64_t boot_us = guard_.mark().boot_us;
  const bool is_again =
      view.state != base::ClockState::agreed && boot_us - told_boot_us_ > kTellAgainUs;
  if (view.state == told_ && !is_again) return;
  if (view.state == base::ClockState::agreed) {
    LOG_INFO("clock", "the clock is believed again");
  } else {
    LOG_WARNING("clock", view.reason);
  }
  told_ = view.state;
  told_boot_us_ = boot_us;
}

void TimeService::keep(bool force) {
  base::TimeMark mark;
  {
    const std::lock_guard lock(mutex_);
    mark = guard_.mark();
  }
  if (!force && mark.boot_us - kept_boot_us_ < kKeepEveryUs) return;
  kept_boot_us_ = mark.boot_us;
  const base::Status status = base::keep_mark(data_dir_, mark);
  if (!status.ok() && status.message() != keep_error_) {
    LOG_WARNING("clock",
                "the time cannot be kept over a restart, a wrong clock would be known only "
                "by the databases: " +
                    status.message());
  }
  keep_error_ = status.message();
}

}  // namespace postback::server
