#include "retention/retention.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <utility>

#include "base/log.h"
#include "retention/limits.h"
#include "retention/purge.h"

namespace postback::retention {
namespace {

// The first look: when the server has begun to serve.
constexpr uint64_t kFirstLookNs = 2'000 * kMillisecondNs;
constexpr uint64_t kLookNs = uint64_t{3'600'000} * kMillisecondNs;
// After a failure, or while another program is at it: longer than its lease, should it be dead.
constexpr uint64_t kLookAgainNs = uint64_t{600'000} * kMillisecondNs;
// How often the list of partners is looked through; new ones come in meanwhile.
constexpr uint64_t kTurnNs = 1'000 * kMillisecondNs;
constexpr partner::SqlLimits kLimits{.connect_ms = 3000, .statement_ms = 3000};
// How long the end waits for the thread: both limits above may be under way.
constexpr auto kJoinWithin = std::chrono::milliseconds(3500);

std::string counted(int64_t count, const char* one, const char* many) {
  return std::to_string(count) + " " + (count == 1 ? one : many);
}

int64_t random_holder() {
  std::random_device random;
  return static_cast<int64_t>(((uint64_t{random()} << 31) ^ random()) | 1);
}

}  // namespace

// Used by the object and its thread. A thread that hangs in the resolver or the disk outlives the
// object together with this, and then finds `stopping` set.
struct Retention::Impl {
  Impl(const base::Clock* given_clock, std::function<base::TimeView()> given_time)
      : clock(given_clock), time(std::move(given_time)) {}

  void run();
  void look();
  // When to look at the partner again.
  uint64_t purge(const Partner& partner);
  // Of a partner whose purge ended with this error; empty: none.
  void tell(const Partner& partner, const std::string& error);
  void doubt(const Partner& partner, bool is_doubted, const std::string& refusal);
  void report(const Partner& partner, const PurgeCounts& counts, uint64_t took_ns);
  // False: stop.
  bool wait(uint64_t wait_ns);
  // Whether the partner is still to be purged by these settings.
  bool is_current(const Partner& partner);

  const base::Clock* const clock;
  const std::function<base::TimeView()> time;
  const int64_t holder = random_holder();
  std::atomic<int64_t> purged_rows = 0;
  std::atomic<int64_t> looks = 0;
  std::atomic<int64_t> doubted = 0;
  std::map<int32_t, uint64_t> next_look_ns;  // By partner. The thread's own, as is last_error.
  std::map<int32_t, std::string> last_error;
  std::set<int32_t> doubted_ids;  // As counted by `doubted`.
  std::thread thread;

  std::mutex mutex;  // Guards what follows.
  std::condition_variable changed;
  bool stopping = false;
  bool ended = false;
  std::shared_ptr<const partner::PartnerTable> partners;
};

bool Retention::Impl::wait(uint64_t wait_ns) {
  std::unique_lock lock(mutex);
  return !changed.wait_for(lock, std::chrono::nanoseconds(wait_ns), [this] { return stopping; });
}

bool Retention::Impl::is_current(const Partner& partner) {
  const std::lock_guard lock(mutex);
  const auto& entries = partners->entries();
  const auto entry = std::find_if(entries.begin(), entries.end(), [&](const auto& candidate) {
    return candidate->partner.id == partner.id;
  });
  if (entry == entries.end()) return false;
  const Partner& now = (*entry)->partner;
  return now.data_retention_days == partner.data_retention_days &&
         now.dedupe_retention_days == partner.dedupe_retention_days &&
         now.effective_database_url == partner.effective_database_url;
}

void Retention::Impl::run() {
  uint64_t pause_ns = kFirstLookNs;
  while (wait(pause_ns)) {
    look();
    pause_ns = kTurnNs;
  }
  const std::lock_guard lock(mutex);
  ended = true;
  changed.notify_all();
}

void Retention::Impl::look() {
  std::shared_ptr<const partner::PartnerTable> table;
  {
    const std::lock_guard lock(mutex);
    table = partners;
  }
  // What a cache says may be out of date, and what is purged does not come back.
  if (table == nullptr || table->source() == partner::TableSource::cache) return;
  std::erase_if(doubted_ids, [&table](int32_t id) {
    const auto& entries = table->entries();
    return std::none_of(entries.begin(), entries.end(),
                        [id](const auto& entry) { return entry->partner.id == id; });
  });
  doubted = static_cast<int64_t>(doubted_ids.size());
  for (const auto& entry : table->entries()) {
    const Partner& partner = entry->partner;
    uint64_t& next_ns = next_look_ns[partner.id];
    if (clock->monotonic_ns() < next_ns) continue;
    const uint64_t wait_ns = purge(partner);
    ++looks;
    next_ns = clock->monotonic_ns() + wait_ns;
    if (!wait(0)) return;
  }
}

uint64_t Retention::Impl::purge(const Partner& partner) {
  const uint64_t began_ns = clock->monotonic_ns();
  auto client = open_for_purge(partner, partner::SqlMode::guest, kLimits);
  base::Status status = client.status();
  PurgeOutcome outcome = PurgeOutcome::nothing_there;
  if (status.ok() && client.value() != nullptr) {
    Purge purge(
        partner, client.value().get(), holder, clock,
        [this, &partner](uint64_t pause_ns) { return wait(pause_ns) && is_current(partner); },
        {.time = time});
    base::Result<PurgeOutcome> done = purge.run(true);
    status = done.status();
    if (status.ok()) outcome = done.value();
    if (status.ok()) doubt(partner, outcome == PurgeOutcome::clock_doubted, purge.refusal());
    if (outcome == PurgeOutcome::complete || outcome == PurgeOutcome::stopped || !status.ok()) {
      report(partner, purge.counts(), clock->monotonic_ns() - began_ns);
    }
  }
  tell(partner, status.message());
  if (outcome == PurgeOutcome::stopped) return kTurnNs;  // By new settings.
  const bool is_done =
      status.ok() && outcome != PurgeOutcome::of_another && outcome != PurgeOutcome::clock_doubted;
  return is_done ? kLookNs : kLookAgainNs;
}

void Retention::Impl::tell(const Partner& partner, const std::string& error) {
  std::string& known = last_error[partner.id];
  if (!error.empty() && known != error) {
    LOG_WARNING("purge", "partner=" + partner.partner_code +
                             " is not purged to the end, again in ten minutes: " + error);
  }
  known = error;
}

// Told once for each time that it begins. A clock that is doubted altogether is told elsewhere.
void Retention::Impl::doubt(const Partner& partner, bool is_doubted, const std::string& refusal) {
  const bool is_its_own = is_doubted && time().state == base::ClockState::agreed;
  const bool is_new = is_its_own && doubted_ids.insert(partner.id).second;
  if (!is_its_own) doubted_ids.erase(partner.id);
  doubted = static_cast<int64_t>(doubted_ids.size());
  if (!is_new) return;
  LOG_WARNING("clock", "partner=" + partner.partner_code +
                           " is not purged, looked at again every ten minutes: " + refusal);
}

void Retention::Impl::report(const Partner& partner, const PurgeCounts& counts, uint64_t took_ns) {
  const int64_t row_count = counts.purged + counts.forgotten + counts.quarantined;
  purged_rows += row_count;
  const std::string line =
      "partner=" + partner.partner_code + " purged " +
      counted(counts.purged, "conversion", "conversions") + " and " +
      counted(counts.quarantined, "quarantined postback", "quarantined postbacks") +
      " older than " + counted(partner.data_retention_days, "day", "days") + ", forgot " +
      counted(counts.forgotten, "id", "ids") + " older than " +
      counted(std::max(partner.data_retention_days, partner.dedupe_retention_days), "day", "days") +
      ", merged the statistics of " + counted(counts.stats.hours, "hour", "hours") + " and " +
      counted(counts.stats.days, "day", "days") + ", in " +
      std::to_string(took_ns / kMillisecondNs) + " ms";
  if (row_count + counts.stats.hours + counts.stats.days > 0) {
    LOG_INFO("purge", line);
  } else {
    LOG_DEBUG("purge", line);
  }
}

Retention::Retention(const base::Clock* clock, std::function<base::TimeView()> time)
    : impl_(std::make_unique<Impl>(clock, std::move(time))) {}

void Retention::start() {
  impl_->thread = std::thread(&Impl::run, impl_.get());
}

void Retention::set_partners(std::shared_ptr<const partner::PartnerTable> partners) {
  const std::lock_guard lock(impl_->mutex);
  impl_->partners = std::move(partners);
}

void Retention::stop() {
  const std::lock_guard lock(impl_->mutex);
  impl_->stopping = true;
  impl_->changed.notify_all();
}

RetentionCounters Retention::counters() const {
  return {.purged_rows = impl_->purged_rows, .looks = impl_->looks, .doubted = impl_->doubted};
}

Retention::~Retention() {
  if (!impl_->thread.joinable()) return;
  stop();
  std::unique_lock lock(impl_->mutex);
  const bool ended = impl_->changed.wait_for(lock, kJoinWithin, [this] { return impl_->ended; });
  lock.unlock();
  if (ended) {
    impl_->thread.join();
    return;
  }
  LOG_WARNING("purge", "a database does not answer; the thread that purges is left behind");
  impl_->thread.detach();
  (void)impl_.release();  // The thread still uses it; the process is about to end.
}

}  // namespace postback::retention
