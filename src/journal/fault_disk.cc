#include "journal/fault_disk.h"

#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <optional>
#include <thread>
#include <utility>

#include "base/log.h"

namespace postback::journal {
namespace {

std::optional<uint64_t> positive_number(std::string_view text) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number == 0) return std::nullopt;
  return number;
}

base::Status not_understood(const char* name, const std::string& value) {
  return base::Status::error(
      std::string(name) + "=" + value + " is not understood; give a number from 1 on" +
      (std::string_view(name) == "PB_FAIL_IO_AT" ? ", then any of :reads, :persist and :short"
                                                 : ""));
}

// N[:reads][:persist][:short]
bool read_failure(std::string_view text, FaultPlan* plan) {
  const std::optional<uint64_t> number = positive_number(text.substr(0, text.find(':')));
  if (!number) return false;
  plan->fail_at = *number;
  for (size_t colon = text.find(':'); colon != std::string_view::npos;) {
    const size_t next = text.find(':', colon + 1);
    const std::string_view word =
        text.substr(colon + 1, next == std::string_view::npos ? next : next - colon - 1);
    colon = next;
    if (word == "reads") {
      plan->fail_reads = true;
    } else if (word == "persist") {
      plan->fail_persistent = true;
    } else if (word == "short") {
      plan->fail_short = true;
    } else {
      return false;
    }
  }
  return true;
}

[[noreturn]] void kill_process() {
  ::kill(::getpid(), SIGKILL);
  while (true) ::pause();  // The signal may take a moment to arrive.
}

struct ProcessDisk {
  FaultPlan plan;
  std::unique_ptr<FaultDisk> disk;

  ProcessDisk() {
    base::Result<FaultPlan> read = read_fault_plan([](const char* name) {
      const char* value = std::getenv(name);
      return std::string(value == nullptr ? "" : value);
    });
    if (read.ok()) {
      plan = read.take();
    } else {
      LOG_ERROR("journal", read.status().message() + "; every operation of the disk fails");
      plan.fail_at = 1;
      plan.fail_persistent = true;
    }
    if (!plan.any()) return;
    LOG_WARNING("journal",
                "a variable PB_… in the environment asks for faults of the journal's disk: this "
                "process is for tests only");
    disk = std::make_unique<FaultDisk>(&real_disk(), plan, kill_process);
  }
};

ProcessDisk& process_disk() {
  static ProcessDisk disk;
  return disk;
}

}  // namespace

// A file whose operations its disk counts.
class FaultFile final : public File {
 public:
  FaultFile(FaultDisk* disk, std::unique_ptr<File> below) : disk_(disk), below_(std::move(below)) {}

  int64_t pwrite(std::string_view bytes, uint64_t offset) override {
    size_t size = bytes.size();
    const int error = disk_->begin_write(&size);
    return error != 0 ? error : below_->pwrite(bytes.substr(0, size), offset);
  }
  int64_t pread(char* out, size_t size, uint64_t offset) override {
    const int error = disk_->begin_read();
    return error != 0 ? error : below_->pread(out, size, offset);
  }
  int fdatasync() override {
    const int error = disk_->begin_change();
    disk_->begin_sync_delay();
    return error != 0 ? error : below_->fdatasync();
  }
  int truncate(uint64_t size) override {
    const int error = disk_->begin_change();
    return error != 0 ? error : below_->truncate(size);
  }
  int64_t size() override {
    const int error = disk_->begin_read();
    return error != 0 ? error : below_->size();
  }
  bool has_name() override { return below_->has_name(); }

 private:
  FaultDisk* const disk_;
  const std::unique_ptr<File> below_;
};

base::Result<FaultPlan> read_fault_plan(
    const std::function<std::string(const char* name)>& environment) {
  FaultPlan plan;
  const char* const fail = "PB_FAIL_IO_AT";
  if (const std::string text = environment(fail); !text.empty() && !read_failure(text, &plan)) {
    return not_understood(fail, text);
  }
  for (const auto& [name, number] :
       {std::pair{"PB_CRASH_AT", &plan.crash_at}, std::pair{"PB_HANG_IO_AT", &plan.hang_at},
        std::pair{"PB_SLOW_SYNC_MS", &plan.sync_delay_ms}}) {
    const std::string text = environment(name);
    if (text.empty()) continue;
    const std::optional<uint64_t> read = positive_number(text);
    if (!read) return not_understood(name, text);
    *number = *read;
  }
  return plan;
}

FaultDisk::FaultDisk(Disk* below, FaultPlan plan, std::function<void()> crash)
    : below_(below), plan_(plan), crash_(std::move(crash)) {}

bool FaultDisk::fails(uint64_t number) const {
  return plan_.fail_at != 0 &&
         (number == plan_.fail_at || (plan_.fail_persistent && number > plan_.fail_at));
}

int FaultDisk::begin_write(size_t* size) {
  const uint64_t number = ++changes_;
  if (number == plan_.crash_at) crash_();
  if (number == plan_.hang_at) {
    while (true) ::pause();
  }
  if (plan_.fail_reads || !fails(number)) return 0;
  if (!plan_.fail_short || *size == 0) return -EIO;
  *size /= 2;
  return 0;
}

int FaultDisk::begin_change() {
  size_t nothing_to_shorten = 0;
  return begin_write(&nothing_to_shorten);
}

int FaultDisk::begin_read() {
  const uint64_t number = ++reads_;
  return plan_.fail_reads && fails(number) ? -EIO : 0;
}

void FaultDisk::begin_sync_delay() const {
  if (plan_.sync_delay_ms == 0) return;
  std::this_thread::sleep_for(std::chrono::milliseconds(plan_.sync_delay_ms));
}

int FaultDisk::open(const std::string& path, OpenMode mode, std::unique_ptr<File>* file) {
  int error = mode == OpenMode::create ? begin_change() : begin_read();
  std::unique_ptr<File> below;
  if (error == 0) error = below_->open(path, mode, &below);
  if (error == 0) *file = std::make_unique<FaultFile>(this, std::move(below));
  return error;
}

int FaultDisk::rename(const std::string& from, const std::string& to) {
  const int error = begin_change();
  return error != 0 ? error : below_->rename(from, to);
}

int FaultDisk::unlink(const std::string& path) {
  const int error = begin_change();
  return error != 0 ? error : below_->unlink(path);
}

int FaultDisk::make_folder(const std::string& path) {
  const int error = begin_change();
  return error != 0 ? error : below_->make_folder(path);
}

int FaultDisk::sync_folder(const std::string& path) {
  const int error = begin_change();
  return error != 0 ? error : below_->sync_folder(path);
}

int FaultDisk::list(const std::string& path, std::vector<std::string>* names) {
  const int error = begin_read();
  return error != 0 ? error : below_->list(path, names);
}

int FaultDisk::space(const std::string& path, Space* space) {
  const int error = begin_read();
  return error != 0 ? error : below_->space(path, space);
}

int FaultDisk::lock(const std::string& path, std::unique_ptr<Lock>* lock) {
  const int error = begin_change();
  return error != 0 ? error : below_->lock(path, lock);
}

Disk& disk_for_process() {
  ProcessDisk& process = process_disk();
  if (process.disk != nullptr) return *process.disk;
  return real_disk();
}

void log_disk_operations() {
  const ProcessDisk& process = process_disk();
  if (process.disk == nullptr) return;
  LOG_INFO("journal", "disk operations: " + std::to_string(process.disk->change_count()) +
                          " changes, " + std::to_string(process.disk->read_count()) + " reads");
}

}  // namespace postback::journal
