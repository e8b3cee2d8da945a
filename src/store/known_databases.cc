#include "store/known_databases.h"

#include <signal.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <sstream>
#include <system_error>
#include <utility>

#include "base/file_sync.h"
#include "base/log.h"

namespace postback::store {
namespace {

using base::Status;

constexpr const char* kFirstLine = "postback-databases 1";

}  // namespace

Status KnownDatabase::meet(const DatabaseIdentity& identity) {
  if (identity.system_identifier.empty() || identity.timeline == 0) return Status();
  const std::lock_guard lock(all_->mutex_);
  uint32_t& highest = all_->timelines_[identity.system_identifier];
  if (identity.timeline < highest && !accepts_lower_timeline_) {
    return Status::error(
        "this server is on timeline " + std::to_string(identity.timeline) + ", and timeline " +
        std::to_string(highest) + " of its cluster (system identifier " +
        identity.system_identifier +
        ") has been seen: it is a primary of before a failover and is not used. Stop it, or make it"
        " a standby of the new primary (pg_rewind). If it is the right one after all: postbackctl"
        " forget PARTNER");
  }
  accepts_lower_timeline_ = false;
  if (highest != identity.timeline) {
    highest = identity.timeline;
    all_->save();
  }
  return Status();
}

std::string KnownDatabase::gone_text(const std::string& what) const {
  return what +
         "; this process has had the database open and does not make it anew, so that a restore is"
         " not disturbed: restore it. If it shall begin empty: postbackctl forget PARTNER";
}

KnownDatabases::~KnownDatabases() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

Status KnownDatabases::keep_in(const std::string& data_dir) {
  const std::string path = (std::filesystem::path(data_dir) / "databases.known").string();
  std::error_code error;
  const bool exists = std::filesystem::exists(path, error);
  std::string text;
  Status status;
  if (exists || error) {
    const std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(path.c_str(), "re"), &std::fclose);
    char part[4096];
    size_t size = 0;
    while (file != nullptr && (size = std::fread(part, 1, sizeof part, file.get())) > 0) {
      text.append(part, size);
    }
    if (file == nullptr || std::ferror(file.get()) != 0) {
      status = Status::error("cannot read " + path + ": " + std::strerror(errno));
    }
  }
  const std::lock_guard lock(mutex_);
  path_ = path;
  if (!status.ok() || !exists) return status;
  status = parse(text);
  return status.ok() ? status : Status::error(path + ": " + status.message());
}

Status KnownDatabases::parse(const std::string& text) {
  std::istringstream lines(text);
  std::string line;
  if (!std::getline(lines, line) || line != kFirstLine) {
    return Status::error("its first line is not \"" + std::string(kFirstLine) + "\"");
  }
  while (std::getline(lines, line)) {
    std::istringstream words(line);
    std::string kind;
    std::string name;
    int64_t number = -1;
    if (!(words >> kind >> name >> number) || number < 0) {
      return Status::error("a line is not understood: " + line.substr(0, 80));
    }
    if (kind == "timeline") timelines_[name] = static_cast<uint32_t>(number);
    if (kind == "epoch") epochs_[name] = number;
  }
  return Status();
}

std::string KnownDatabases::text() const {
  std::string text = std::string(kFirstLine) + "\n";
  for (const auto& [name, number] : timelines_) {
    text += "timeline " + name + " " + std::to_string(number) + "\n";
  }
  for (const auto& [name, number] : epochs_) {
    text += "epoch " + name + " " + std::to_string(number) + "\n";
  }
  return text;
}

KnownDatabase& KnownDatabases::at(const std::string& name, const std::string& partner_code,
                                  int64_t memory_epoch) {
  const std::lock_guard lock(mutex_);
  std::unique_ptr<KnownDatabase>& database = databases_[name];
  if (database == nullptr) database = std::make_unique<KnownDatabase>(this, name);
  if (partner_code.empty()) return *database;
  // An epoch that went back is that of a control database that was restored: no word of anybody.
  const auto [known, is_new] = epochs_.try_emplace(partner_code, 0);
  const int64_t before = std::exchange(known->second, memory_epoch);
  if (memory_epoch > before) {
    database->was_open_.store(false, std::memory_order_release);
    database->accepts_lower_timeline_ = true;
  }
  if (memory_epoch != before) save();
  return *database;
}

void KnownDatabases::save() {
  if (path_.empty() || stopping_) return;
  unsaved_ = true;
  if (!thread_.joinable()) {
    // The thread inherits a full signal mask: signals are for the threads of main and the cores.
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    try {
      thread_ = std::thread([this] { run(); });
    } catch (const std::system_error&) {
      LOG_WARNING("store", "the system refused a thread: " + path_ + " is not up to date");
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }
  changed_.notify_all();
}

void KnownDatabases::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return unsaved_ || stopping_; });
    if (!unsaved_) return;
    unsaved_ = false;
    const std::string bytes = text();
    const std::string path = path_;
    lock.unlock();
    Status status = base::make_folders(std::filesystem::path(path).parent_path());
    if (status.ok()) status = base::replace_private_file(path, bytes);
    if (!status.ok()) {
      LOG_WARNING("store",
                  "after a restart the highest timeline will not be known: " + status.message());
    }
    lock.lock();
  }
}

}  // namespace postback::store
