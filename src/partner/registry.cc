#include "partner/registry.h"

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
#include "partner/control_watch.h"
#include "partner/partner_cache.h"
#include "partner/table_builder.h"

namespace postback::partner {
namespace {

constexpr auto kLookEvery = std::chrono::milliseconds(500);
// While the control database is away: still within the two seconds that a change may take.
constexpr auto kLookEveryWhileDown = std::chrono::milliseconds(1000);
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

}  // namespace

// Used by the registry and its thread. A thread that hangs in the resolver outlives the registry
// together with this, and then finds `stopping` set.
struct Registry::Impl {
  explicit Impl(const base::Settings& settings, OnTable on_table)
      : control_url(settings.database_url),
        home(database_home(settings)),
        remembers(base::database_kind(control_url) == base::DatabaseKind::postgresql),
        watch(home),
        on_table(std::move(on_table)) {
    status.kind = base::database_kind_name(base::database_kind(control_url));
  }

  void look(bool force);
  void recall();
  void run();

  const std::string control_url;
  const DatabaseHome home;
  // A control database on another machine may be away when this one starts. A SQLite file is where
  // the memory of it would be.
  const bool remembers;
  // The thread's own (and start()'s, before there is a thread).
  ControlWatch watch;
  std::shared_ptr<const PartnerTable> table;
  std::map<int64_t, std::string> bad_logged;  // By partner id: the error last logged.
  std::thread thread;

  // Held while the table is handed out, so that nothing is after the registry's end.
  std::mutex handing_out;
  OnTable on_table;

  std::mutex mutex;  // Guards what follows.
  std::condition_variable changed;
  bool stopping = false;
  bool ended = false;  // The thread has left run().
  bool reload = false;
  RegistryStatus status;

 private:
  void log_bad(const std::vector<BadPartner>& bad);
  void remember();
  void hand_out(std::shared_ptr<const PartnerTable> next);
  void set_status(const base::Status& result);
};

void Registry::Impl::look(bool force) {
  base::Result<std::optional<Partners>> rows = watch.look(force);
  if (rows.ok() && rows.value().has_value()) {
    log_bad(rows.value()->bad);
    TableChange change = next_table(table.get(), std::move(*rows.value()));
    for (const std::string& note : change.notes) LOG_INFO("partner", note);
    if (change.table != nullptr) {
      hand_out(std::move(change.table));
      remember();
    }
  }
  set_status(rows.status());
}

void Registry::Impl::remember() {
  if (!remembers) return;
  std::vector<Partner> partners;
  for (const auto& entry : table->entries()) partners.push_back(entry->partner);
  const base::Status written = write_partner_cache(home, partners);
  if (written.ok()) return;
  LOG_WARNING("partner",
              "the partners cannot be remembered, a start without the control database "
              "will know none: " +
                  written.message());
}

// At the start, when the control database is away.
void Registry::Impl::recall() {
  base::Result<std::optional<std::vector<Partner>>> cached = read_partner_cache(home);
  if (!cached.ok()) {
    LOG_WARNING("partner",
                "the partners of the last run are not used: " + cached.status().message());
    return;
  }
  if (!cached.value().has_value() || cached.value()->empty()) return;
  Partners partners;
  partners.partners = std::move(*cached.value());
  LOG_WARNING("partner", "until the control database is back, the " +
                             std::to_string(partners.partners.size()) +
                             " partners of the last run are served, from " +
                             partner_cache_path(home));
  hand_out(next_table(nullptr, std::move(partners)).table);
  const std::lock_guard lock(mutex);
  status.loaded = true;
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

void Registry::Impl::hand_out(std::shared_ptr<const PartnerTable> next) {
  table = std::move(next);
  if (table->entries().empty()) {
    LOG_WARNING("partner", "no partner is registered in control database " +
                               shown_control(control_url) +
                               ", postbacks are answered 503 until there is one: is it the right "
                               "DATABASE_URL? If so run: postbackctl init, or: postbackctl partner "
                               "add FILE.json");
  }
  const std::lock_guard lock(handing_out);
  if (on_table) on_table(table);
}

void Registry::Impl::set_status(const base::Status& result) {
  const std::lock_guard lock(mutex);
  const bool first = !status.up && status.error.empty();
  const std::string shown = base::masked_url(control_url);
  if (result.ok() && !status.up) {
    LOG_INFO("partner", "control database " + shown + " is up, " +
                            std::to_string(table->entries().size()) + " partners");
  } else if (!result.ok() && (status.up || first)) {
    LOG_ERROR("partner", "control database " + shown + " is away, " +
                             (table == nullptr ? "no partner is known yet: "
                                               : "the partners stay as they were: ") +
                             result.message());
  }
  status.up = result.ok();
  status.error = result.message();
  status.loaded = table != nullptr;
}

void Registry::Impl::run() {
  std::unique_lock lock(mutex);
  while (!stopping) {
    const auto pause = status.up ? kLookEvery : kLookEveryWhileDown;
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

Registry::Registry(const base::Settings& settings, OnTable on_table)
    : impl_(std::make_unique<Impl>(settings, std::move(on_table))) {}

Registry::~Registry() {
  if (!impl_->thread.joinable()) return;
  {
    // Whoever is handing out a table is waited for; nobody will begin.
    const std::lock_guard lock(impl_->handing_out);
    impl_->on_table = nullptr;
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
  impl_->thread.detach();
  (void)impl_.release();  // The thread still uses it; the process is about to end.
}

base::Status Registry::start() {
  const base::Status status = check_connectable_url(impl_->control_url);
  if (!status.ok()) return base::Status::error("DATABASE_URL: " + status.message());
  impl_->look(false);
  if (impl_->table == nullptr && impl_->remembers) impl_->recall();
  impl_->thread = std::thread(&Impl::run, impl_.get());
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
