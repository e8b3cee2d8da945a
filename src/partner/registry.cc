#include "partner/registry.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include "base/database_url.h"
#include "base/log.h"
#include "base/printable.h"
#include "base/time.h"
#include "partner/control_watch.h"
#include "partner/partner_cache.h"
#include "partner/table_builder.h"

namespace postback::partner {
namespace {

constexpr auto kLookEvery = std::chrono::milliseconds(500);
// While the control database is away: still within the two seconds that a change may take.
constexpr auto kLookEveryWhileDown = std::chrono::milliseconds(1000);
// While a row is bad: not only rows make one good again, but also a time zone file that can be
// read.
constexpr auto kLookAgainAtBad = std::chrono::seconds(2);
// While no partner is known: a server that starts beside its database has clients that wait.
constexpr auto kLookEveryWithoutTable = std::chrono::milliseconds(200);
// A control database that has not answered by then is taken for away, and the cache is used: the
// senders of the postbacks that wait have two seconds or more.
constexpr auto kFirstLookWithin = std::chrono::milliseconds(1000);
// How long the end waits for the thread: connecting and one statement have limits of 3 s each, but
// the resolver of host names may take longer, and the process must end within 8 s of SIGTERM.
constexpr auto kJoinWithin = std::chrono::milliseconds(3500);

// Where the control database is: a relative SQLite path is shown whole, because a server that was
// started in another folder looks at another file.
std::string shown_control(const std::string& url) {
  if (base::database_kind(url) != base::DatabaseKind::sqlite) return base::masked_url(url);
  std::error_code unknown;  // Then the path is shown as it is.
  const std::filesystem::path path = std::filesystem::absolute(base::sqlite_path(url), unknown);
  return unknown ? base::masked_url(url) : "sqlite:" + base::printable(path.string());
}

// "25 min": how long ago something was, in whole units, the largest that fits.
std::string age_text(int64_t age_us) {
  const int64_t seconds = std::max<int64_t>(age_us, 0) / 1'000'000;
  if (seconds < 120) return std::to_string(seconds) + " s";
  if (seconds < 2 * 3600) return std::to_string(seconds / 60) + " min";
  if (seconds < 2 * 86400) return std::to_string(seconds / 3600) + " h";
  return std::to_string(seconds / 86400) + " days";
}

}  // namespace

// Used by the registry and its thread. A thread that hangs in the resolver outlives the registry
// together with this, and then finds `stopping` set.
struct Registry::Impl {
  Impl(const base::Settings& settings, OnTable on_table, OnTime on_time)
      : control_url(settings.database_url),
        watch(database_home(settings)),
        cache(database_home(settings), shown_control(settings.database_url)),
        on_table(std::move(on_table)),
        on_time(std::move(on_time)) {
    status.kind = base::database_kind_name(base::database_kind(control_url));
  }

  void look(bool force);
  void use_cache();
  void tell_of_silence();
  void run();

  const std::string control_url;
  // The thread's own.
  ControlWatch watch;
  PartnerCache cache;       // start() may load it while the thread looks for the first time.
  std::string cache_error;  // Last logged.
  std::map<int64_t, std::string> bad_logged;  // By partner id: the error last logged.
  std::chrono::steady_clock::time_point bad_looked_at;
  std::thread thread;

  // Held while a table is made and handed out: by the thread, or by start(), which uses the cache
  // when the thread hangs. So nothing is handed out after the registry's end.
  std::mutex handing_out;
  OnTable on_table;
  std::shared_ptr<const PartnerTable> table;  // Under handing_out.
  OnTime on_time;

  std::mutex mutex;  // Guards what follows.
  std::condition_variable changed;
  bool stopping = false;
  bool looked = false;  // The first look is done.
  bool ended = false;   // The thread has left run().
  bool reload = false;
  RegistryStatus status;

 private:
  std::shared_ptr<const PartnerTable> current_table();
  void keep_cache();
  void log_bad(const std::vector<BadPartner>& bad);
  void hand_out(std::shared_ptr<const PartnerTable> next);
  void set_status(const base::Status& result);
};

void Registry::Impl::look(bool force) {
  const auto now = std::chrono::steady_clock::now();
  const bool again = !bad_logged.empty() && now >= bad_looked_at + kLookAgainAtBad;
  if (force || again) bad_looked_at = now;
  base::Result<std::optional<Partners>> rows = watch.look(force || again);
  if (rows.ok() && watch.database_time_us().has_value()) {
    const std::lock_guard lock(handing_out);
    if (on_time) on_time(*watch.database_time_us());
  }
  if (rows.ok() && rows.value().has_value()) {
    const std::lock_guard lock(handing_out);
    TableChange change = next_table(table.get(), std::move(*rows.value()));
    log_bad(change.bad);
    for (const std::string& note : change.notes) LOG_INFO("partner", note);
    if (change.table != nullptr) hand_out(std::move(change.table));
  }
  set_status(rows.status());
  if (rows.ok()) keep_cache();
}

// At the start, when the control database is away.
void Registry::Impl::use_cache() {
  base::Result<CachedPartners> cached = cache.load();
  if (!cached.ok()) {
    LOG_WARNING("partner", "no partners are kept from before: " + cached.status().message());
    return;
  }
  const int64_t as_of_us = cached.value().confirmed_us;
  TableChange change = next_table(nullptr, std::move(cached.value().rows), TableSource::cache);
  for (const BadPartner& row : change.bad) {
    LOG_ERROR("partner",
              "partner " + row.partner_code + " is left out of " + cache.path() + ": " + row.error);
  }
  const std::lock_guard hand(handing_out);
  if (table != nullptr) return;  // The control database has answered after all.
  hand_out(std::move(change.table));
  std::string time;
  base::append_iso8601(&time, as_of_us - as_of_us % 1'000'000);
  LOG_WARNING("partner", "serving the " + std::to_string(table->entries().size()) +
                             " partners kept in " + cache.path() + ", which is " +
                             age_text(base::system_clock().wall_us() - as_of_us) + " old (" + time +
                             "), until the control database is back");
  const std::lock_guard lock(mutex);
  status.loaded = true;
  status.cached_as_of_us = as_of_us;
}

void Registry::Impl::keep_cache() {
  const base::Status kept = cache.keep(current_table());
  if (kept.ok() || kept.message() == cache_error) return;
  cache_error = kept.message();
  LOG_WARNING("partner", "the partners cannot be kept for a start without the control database: " +
                             kept.message());
}

void Registry::Impl::log_bad(const std::vector<BadPartner>& bad) {
  std::map<int64_t, std::string> now;
  for (const BadPartner& row : bad) {
    now[row.id] = row.error;
    const auto before = bad_logged.find(row.id);
    if (before != bad_logged.end() && before->second == row.error) continue;
    LOG_ERROR("partner", "partner " + row.partner_code + " (id " + std::to_string(row.id) +
                             ") is wrong in the control database and stays as it was: " +
                             row.error + "; put it right with: postbackctl partner set");
  }
  bad_logged = std::move(now);
}

std::shared_ptr<const PartnerTable> Registry::Impl::current_table() {
  const std::lock_guard lock(handing_out);
  return table;
}

// With handing_out held.
void Registry::Impl::hand_out(std::shared_ptr<const PartnerTable> next) {
  table = std::move(next);
  if (table->entries().empty()) {
    LOG_WARNING("partner", "no partner is registered in control database " +
                               shown_control(control_url) +
                               ", postbacks are answered 503 until there is one: is it the right "
                               "DATABASE_URL? If so run: postbackctl init, or: postbackctl partner "
                               "add FILE.json");
  }
  if (on_table) on_table(table);
}

void Registry::Impl::set_status(const base::Status& result) {
  const std::shared_ptr<const PartnerTable> known = current_table();
  const std::lock_guard lock(mutex);
  const bool first = !status.up && status.error.empty();
  const std::string shown = base::masked_url(control_url);
  if (result.ok() && !status.up) {
    LOG_INFO("partner", "control database " + shown + " is up, " +
                            std::to_string(known->entries().size()) + " partners");
  } else if (!result.ok() && (status.up || first)) {
    LOG_ERROR("partner", "control database " + shown + " is away, " +
                             (known == nullptr ? "no partner was read yet: "
                                               : "the partners stay as they were: ") +
                             result.message());
  }
  if (result.ok()) status.cached_as_of_us = 0;
  status.up = result.ok();
  status.error = result.message();
  status.loaded = known != nullptr;
}

// With the mutex held: the first look takes long.
void Registry::Impl::tell_of_silence() {
  status.error = "it has not answered within a second";
  LOG_ERROR("partner", "control database " + base::masked_url(control_url) +
                           " is away: " + status.error + "; waiting for it goes on");
}

void Registry::Impl::run() {
  look(false);
  std::unique_lock lock(mutex);
  looked = true;
  changed.notify_all();
  while (!stopping) {
    const auto pause = status.up       ? kLookEvery
                       : status.loaded ? kLookEveryWhileDown
                                       : kLookEveryWithoutTable;
    changed.wait_for(lock, pause, [this] { return stopping || reload; });
    if (stopping) break;
    const bool force = std::exchange(reload, false);
    lock.unlock();
    look(force);
    lock.lock();
  }
  ended = true;
  changed.notify_all();
}

Registry::Registry(const base::Settings& settings, OnTable on_table, OnTime on_time)
    : impl_(std::make_shared<Impl>(settings, std::move(on_table), std::move(on_time))) {}

Registry::~Registry() {
  if (!impl_->thread.joinable()) return;
  {
    // Whoever is handing out a table is waited for; nobody will begin.
    const std::lock_guard lock(impl_->handing_out);
    impl_->on_table = nullptr;
    impl_->on_time = nullptr;
  }
  std::unique_lock lock(impl_->mutex);
  impl_->stopping = true;
  impl_->changed.notify_all();
  const bool ended = impl_->changed.wait_for(lock, kJoinWithin, [this] { return impl_->ended; });
  lock.unlock();
  if (ended) {
    impl_->thread.join();
    return;
  }
  LOG_WARNING("partner", "the control database does not answer; its thread is left behind");
  impl_->thread.detach();  // It frees what it uses when it ends.
}

base::Status Registry::start() {
  const base::Status status = check_connectable_url(impl_->control_url);
  if (!status.ok()) return base::Status::error("DATABASE_URL: " + status.message());
  impl_->thread = std::thread([impl = impl_] { impl->run(); });
  {
    std::unique_lock lock(impl_->mutex);
    impl_->changed.wait_for(lock, kFirstLookWithin, [this] { return impl_->looked; });
    if (impl_->looked && impl_->status.loaded) return base::Status();
    if (!impl_->looked) impl_->tell_of_silence();
  }
  impl_->use_cache();
  return base::Status();
}

void Registry::reload() {
  const std::lock_guard lock(impl_->mutex);
  impl_->reload = true;
  impl_->changed.notify_all();
}

RegistryStatus Registry::status() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->status;
}

}  // namespace postback::partner
