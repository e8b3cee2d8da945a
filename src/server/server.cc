#include "server/server.h"

#include <unistd.h>

#include <atomic>
#include <barrier>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include "base/log.h"
#include "base/ownership.h"
#include "io/cpu_count.h"
#include "io/loop_choice.h"
#include "io/port_claim.h"
#include "retention/retention.h"
#include "server/core.h"
#include "server/time_service.h"

namespace postback::server {

namespace {

// Files of other users that the start names; their cause is usually one.
constexpr size_t kNamedFilesMax = 5;

}  // namespace

struct Server::Impl {
  explicit Impl(const base::Settings& given) : settings(given) {}

  base::Status start_cores(int core_count);
  void run_core(uint32_t index);
  void count_one(size_t Impl::*count);
  void publish(std::shared_ptr<const partner::PartnerTable> table);
  void enter(Stage stage);
  void wait_until_ready();
  bool wait_for_all(size_t Impl::*count, uint64_t limit_ns);
  void join();

  base::Settings settings;
  std::vector<std::unique_ptr<Core>> cores;
  std::unique_ptr<store::Services> services = std::make_unique<store::Services>();
  io::ClaimedPort claimed;
  // Shared with a thread that purges and hangs, which outlives this.
  std::shared_ptr<TimeService> time = std::make_shared<TimeService>(settings.data_dir);
  CoreShared shared;
  JournalService journal;
  std::unique_ptr<partner::Registry> registry;
  std::unique_ptr<retention::Retention> retention;
  std::unique_ptr<ReportDesk> desk;  // Ends before the cores, to which it answers.
  std::vector<std::thread> threads;
  std::unique_ptr<std::barrier<>> barrier;  // Of the cores' threads.
  std::atomic<bool> stopping{false};

  std::mutex mutex;
  std::condition_variable changed;
  std::string failure;  // Under mutex, as are the counts: why a core cannot run.
  size_t started_count = 0;
  size_t routed_count = 0;  // Partner tables by which all cores route.
  size_t drained_count = 0;
  size_t ended_count = 0;
};

Server::Server(const base::Settings& settings) : impl_(std::make_unique<Impl>(settings)) {}
Server::~Server() = default;
int Server::port() const {
  return impl_->claimed.port;
}
void Server::reload() {
  impl_->registry->reload();
}

base::Status Server::start() {
  Impl& impl = *impl_;
  const int core_count = impl.settings.cores > 0 ? impl.settings.cores : io::usable_cpu_count();
  // First, so that as few clients as possible are refused: they wait until serve().
  auto claimed = io::claim_port(impl.settings.host, impl.settings.port, core_count);
  if (!claimed.ok()) return claimed.status();
  impl.claimed = claimed.take();
  if (base::Status status = impl.services->keep_in(impl.settings.data_dir); !status.ok()) {
    LOG_WARNING("store", status.message() +
                             "; which primaries are older than a failover is not known, until they"
                             " are met again");
  }
  impl.time->start();
  impl.retention = std::make_unique<retention::Retention>(
      impl.time->clock(), [time = impl.time] { return time->view(); });
  impl.registry = std::make_unique<partner::Registry>(
      impl.settings,
      [&impl](std::shared_ptr<const partner::PartnerTable> table) {
        impl.publish(std::move(table));
      },
      [&impl](int64_t database_us) { impl.time->set_database_time(database_us); });
  for (const std::string& path : base::unusable_entries(impl.settings.data_dir, kNamedFilesMax)) {
    LOG_WARNING("server", "cannot use a file of DATA_DIR" + base::ownership_trouble(path));
  }
  // Before anything is served: what an earlier process acknowledged is known, and kept.
  if (base::Status status = impl.journal.open(impl.settings, impl.time->clock()); !status.ok()) {
    return status;
  }
  if (base::Status status = impl.start_cores(core_count); !status.ok()) return status;
  if (base::Status status = impl.journal.start_drain(impl.shared.mailboxes, &impl.shared.lanes);
      !status.ok()) {
    return status;
  }
  if (base::Status status = impl.registry->start(); !status.ok()) return status;
  impl.retention->start();
  impl.wait_until_ready();
  return {};
}

void Server::Impl::wait_until_ready() {
  {
    std::unique_lock lock(mutex);
    changed.wait_for(lock, std::chrono::nanoseconds(kFirstTableLimitNs),
                     [this] { return routed_count > 0; });
  }
  if (!journal.wait_until_prepared(kJournalLimitNs)) {
    LOG_WARNING("journal", "its first file is not ready yet; serving without waiting for it");
  }
}

void Server::serve() {
  impl_->enter(Stage::serving);
}

void Server::leave() {
  impl_->enter(Stage::leaving);
}

base::Status Server::Impl::start_cores(int core_count) {
  std::random_device random;
  shared.settings = &settings;
  shared.clock = time->clock();
  shared.time = time.get();
  shared.services = services.get();
  shared.registry = registry.get();
  shared.journal = &journal;
  shared.retention = retention.get();
  shared.started_at_us = shared.clock->wall_us();
  shared.started_ns = shared.clock->monotonic_ns();
  // Names this process among all writers of a database.
  const uint64_t bits = (uint64_t{random()} << 32) | random();
  shared.writer_base = static_cast<int64_t>(bits & 0x00FF'FFFF'FFFF'FFFFULL);
  const auto count = static_cast<size_t>(core_count);
  shared.mailboxes.resize(count);
  shared.lanes.resize(count);
  shared.surveys.resize(count);
  shared.tables.resize(count);
  shared.stages.resize(count);
  shared.open_files_max = open_files_max();
  cores.resize(count);
  shared.routed = [this] { count_one(&Impl::routed_count); };
  shared.drained = [this] { count_one(&Impl::drained_count); };
  desk = std::make_unique<ReportDesk>(shared.clock, &shared.mailboxes, &shared.lanes);
  shared.desk = desk.get();
  desk->start();
  barrier = std::make_unique<std::barrier<>>(core_count);
  for (uint32_t index = 0; index < count; ++index) {
    threads.emplace_back([this, index] { run_core(index); });
  }
  std::unique_lock lock(mutex);
  changed.wait(lock, [&] { return started_count == count; });
  if (failure.empty()) return {};
  lock.unlock();
  join();
  return base::Status::error(failure);
}

// The life of a core's thread. The loop is made on the thread that uses it. Two meetings of all
// cores: every mailbox is known before any core sends; every core can receive before one listens.
// The core itself lives on until no thread is left that could send to it: see stop().
void Server::Impl::run_core(uint32_t index) {
  std::unique_ptr<Core>& core = cores[index];
  auto choice = io::make_loop(settings.io_engine);
  if (choice.ok()) {
    if (index == 0) {
      LOG_INFO("server",
               "event loop: " + choice.value().engine + " (" + choice.value().reason + ")");
    }
    io::LoopChoice chosen = choice.take();
    core = std::make_unique<Core>(index, std::move(chosen.loop), std::move(chosen.reason), &shared);
    core->publish();
  } else {
    const std::lock_guard lock(mutex);
    failure = choice.status().message();
  }
  barrier->arrive_and_wait();
  bool failed = false;
  {
    const std::lock_guard lock(mutex);
    failed = !failure.empty();
  }
  if (core != nullptr) core->assemble();
  barrier->arrive_and_wait();
  count_one(&Impl::started_count);
  if (failed) {
    ::close(claimed.listeners[index]);
    return;
  }
  core->run(claimed.listeners[index]);
  count_one(&Impl::ended_count);
}

void Server::Impl::count_one(size_t Impl::*count) {
  const std::lock_guard lock(mutex);
  ++(this->*count);
  changed.notify_all();
}

// Until every core has counted, or the time is over.
bool Server::Impl::wait_for_all(size_t Impl::*count, uint64_t limit_ns) {
  std::unique_lock lock(mutex);
  return changed.wait_for(lock, std::chrono::nanoseconds(limit_ns),
                          [&] { return this->*count == threads.size(); });
}

void Server::Impl::join() {
  for (std::thread& thread : threads) thread.join();
  threads.clear();
}

// On the registry's thread.
void Server::Impl::publish(std::shared_ptr<const partner::PartnerTable> table) {
  if (stopping) return;
  journal.set_table(table);
  retention->set_partners(table);
  auto* update = new TableUpdate;  // Freed by the core that ends the second lap.
  update->table = std::move(table);
  update->receiver = shared.tables[0];
  shared.mailboxes[0]->post(*update);
}

void Server::Impl::enter(Stage stage) {
  for (size_t core = 0; core < shared.mailboxes.size(); ++core) {
    auto* step = new StageStep;  // Freed by its core.
    step->stage = stage;
    step->receiver = shared.stages[core];
    shared.mailboxes[core]->post(*step);
  }
}

bool Server::stop() {
  Impl& impl = *impl_;
  impl.stopping = true;
  impl.journal.stop_drain();
  impl.retention->stop();
  impl.enter(Stage::draining);
  if (!impl.wait_for_all(&Impl::drained_count, kDrainLimitNs + kSecondNs)) return false;
  impl.journal.join_drain();
  impl.enter(Stage::closing);
  if (!impl.wait_for_all(&Impl::ended_count, kCloseLimitNs)) return false;
  impl.join();
  // The threads that may still send to a core end before the cores do.
  impl.registry.reset();
  impl.retention.reset();
  impl.desk.reset();
  impl.services.reset();
  impl.journal.close();
  impl.cores.clear();
  return true;
}

}  // namespace postback::server
