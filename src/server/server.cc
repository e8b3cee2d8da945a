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
#include "io/cpu_count.h"
#include "io/listener.h"
#include "io/loop_choice.h"
#include "retention/retention.h"
#include "server/core.h"

namespace postback::server {

struct Server::Impl {
  explicit Impl(const base::Settings& given) : settings(given) {}

  base::Status listen(int core_count);
  base::Status start_cores(int core_count);
  void run_core(uint32_t index);
  void count_one(size_t Impl::*count);
  void publish(std::shared_ptr<const partner::PartnerTable> table);
  void send_stop(bool close_lanes);
  bool wait_for_all(size_t Impl::*count, uint64_t limit_ns);
  void join();

  base::Settings settings;
  std::vector<std::unique_ptr<Core>> cores;
  std::unique_ptr<store::Services> services = std::make_unique<store::Services>();
  std::vector<int> listeners;
  int port = 0;
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
  return impl_->port;
}
void Server::reload() {
  impl_->registry->reload();
}

base::Status Server::start() {
  Impl& impl = *impl_;
  const int core_count = impl.settings.cores > 0 ? impl.settings.cores : io::usable_cpu_count();
  if (base::Status status = impl.listen(core_count); !status.ok()) return status;
  impl.retention = std::make_unique<retention::Retention>(&base::system_clock());
  impl.registry = std::make_unique<partner::Registry>(
      impl.settings, [&impl](std::shared_ptr<const partner::PartnerTable> table) {
        impl.publish(std::move(table));
      });
  // Before anything is served: what an earlier process acknowledged is known, and kept.
  if (base::Status status = impl.journal.open(impl.settings, &base::system_clock()); !status.ok()) {
    return status;
  }
  if (base::Status status = impl.start_cores(core_count); !status.ok()) return status;
  if (base::Status status = impl.journal.start_drain(impl.shared.mailboxes, &impl.shared.lanes);
      !status.ok()) {
    return status;
  }
  if (base::Status status = impl.registry->start(); !status.ok()) return status;
  impl.retention->start();
  // Who reads that the server listens may call at once: its partners are known by then, unless the
  // control database is away.
  if (impl.registry->status().loaded) {
    std::unique_lock lock(impl.mutex);
    impl.changed.wait(lock, [&impl] { return impl.routed_count > 0; });
  }
  return {};
}

// A listener per core (SO_REUSEPORT): the kernel spreads the clients. The first bind, without it,
// fails when another program has the port; two servers by mistake would share it silently.
base::Status Server::Impl::listen(int core_count) {
  auto probe = io::listen_tcp(settings.host, settings.port, false);
  if (!probe.ok()) return probe.status();
  port = io::bound_port(probe.value());
  ::close(probe.value());
  for (int i = 0; i < core_count; ++i) {
    auto listener = io::listen_tcp(settings.host, port, true);
    if (!listener.ok()) {
      for (const int fd : listeners) ::close(fd);
      listeners.clear();
      return listener.status();
    }
    listeners.push_back(listener.value());
  }
  return {};
}

base::Status Server::Impl::start_cores(int core_count) {
  std::random_device random;
  shared.settings = &settings;
  shared.clock = &base::system_clock();
  shared.services = services.get();
  shared.registry = registry.get();
  shared.journal = &journal;
  shared.retention = retention.get();
  shared.started_at_us = shared.clock->wall_us();
  // Names this process among all writers of a database.
  const uint64_t bits = (uint64_t{random()} << 32) | random();
  shared.writer_base = static_cast<int64_t>(bits & 0x00FF'FFFF'FFFF'FFFFULL);
  const auto count = static_cast<size_t>(core_count);
  shared.mailboxes.resize(count);
  shared.lanes.resize(count);
  shared.surveys.resize(count);
  shared.tables.resize(count);
  shared.stops.resize(count);
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
    ::close(listeners[index]);
    return;
  }
  core->run(listeners[index]);
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

void Server::Impl::send_stop(bool close_lanes) {
  for (size_t core = 0; core < shared.mailboxes.size(); ++core) {
    auto* step = new StopStep;  // Freed by its core.
    step->close_lanes = close_lanes;
    step->receiver = shared.stops[core];
    shared.mailboxes[core]->post(*step);
  }
}

bool Server::stop() {
  Impl& impl = *impl_;
  impl.stopping = true;
  impl.journal.stop_drain();
  impl.retention->stop();
  impl.send_stop(false);
  if (!impl.wait_for_all(&Impl::drained_count, kDrainLimitNs + kSecondNs)) return false;
  impl.journal.join_drain();
  impl.send_stop(true);
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
