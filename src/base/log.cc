#include "base/log.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <thread>

#include "base/json_writer.h"
#include "base/ownership.h"
#include "base/printable.h"
#include "base/time.h"

namespace postback::base {
namespace {

constexpr size_t kQueueBytesMax = 4 * 1024 * 1024;

const char* level_name(LogLevel level) {
  switch (level) {
    case LogLevel::debug:
      return "DEBUG";
    case LogLevel::info:
      return "INFO";
    case LogLevel::warning:
      return "WARNING";
    case LogLevel::error:
      return "ERROR";
  }
  return "ERROR";
}

// At most `bytes_max` of the text, not cut inside a UTF-8 sequence: its rest would show as bytes.
std::string_view cut(std::string_view text, size_t bytes_max) {
  if (text.size() <= bytes_max) return text;
  while (bytes_max > 0 && (static_cast<unsigned char>(text[bytes_max]) & 0xC0) == 0x80) --bytes_max;
  return text.substr(0, bytes_max);
}

void append_line(std::string* out, LogFormat format, LogLevel level, std::string_view area,
                 std::string_view message) {
  message = cut(message, kLineBytesMax);
  const int64_t now_us = system_clock().wall_us();
  if (format == LogFormat::json) {
    // The field names of Cloud Logging's structured logs.
    out->append("{\"time\":\"");
    append_iso8601(out, now_us);
    out->append("\",\"severity\":\"").append(level_name(level)).append("\",\"area\":");
    append_json_string(out, area);
    out->append(",\"message\":");
    std::string json;
    append_json_string(&json, message);
    append_printable_output(out, json);
    out->append("}\n");
    return;
  }
  append_iso8601(out, now_us);
  out->push_back(' ');
  out->append(level_name(level));
  out->push_back(' ');
  out->append(area).append(": ");
  append_printable(out, message);
  out->push_back('\n');
}

void write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;  // A closed terminal or full disk costs log lines, never more.
    text.remove_prefix(static_cast<size_t>(written));
  }
}

class Logger {
 public:
  Status start(const LogOptions& options) {
    options_ = options;
    if (Status status = open_file(); !status.ok()) return status;
    running_.store(true, std::memory_order_release);
    thread_ = std::thread([this] { run(); });
    return {};
  }

  void stop() {
    if (!running_.exchange(false)) return;
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_one();
    thread_.join();
    if (file_ >= 0) ::close(file_);
    file_ = -1;
    stopping_ = false;
  }

  void reopen() {
    {
      const std::lock_guard lock(mutex_);
      reopen_ = true;
    }
    changed_.notify_one();
  }

  bool enabled(LogLevel level) const { return level >= level_.load(std::memory_order_relaxed); }
  void set_level(LogLevel level) { level_.store(level, std::memory_order_relaxed); }

  void line(LogLevel level, std::string_view area, std::string_view message) {
    thread_local std::string text;
    text.clear();
    if (!running_.load(std::memory_order_acquire)) {
      append_line(&text, LogFormat::text, level, area, message);
      write_all(STDERR_FILENO, text);
      return;
    }
    append_line(&text, options_.format, level, area, message);
    {
      // Held elsewhere only for a swap or for another line's copy, never while writing.
      const std::lock_guard lock(mutex_);
      if (queue_.size() + text.size() > kQueueBytesMax) {
        ++dropped_count_;
        return;
      }
      queue_.append(text);
    }
    changed_.notify_one();
  }

 private:
  Status open_file() {
    if (options_.file.empty()) return {};
    const std::filesystem::path path(options_.file);
    std::error_code ignored;  // The open below tells what matters.
    if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path(), ignored);
    const int fd = ::open(options_.file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    if (fd < 0) {
      const int error = errno;
      const std::string trouble = error == EACCES ? ownership_trouble(options_.file) : "";
      return Status::error("cannot open the log file " + options_.file + ": " +
                           std::strerror(error) + trouble +
                           "; set LOG_FILE to a path that can be written, or to - for none");
    }
    if (file_ >= 0) ::close(file_);
    file_ = fd;
    return {};
  }

  void run() {
    std::string writing;
    bool last = false;
    while (!last) {
      uint64_t dropped_count = 0;
      bool reopen = false;
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return stopping_ || reopen_ || !queue_.empty(); });
        writing.swap(queue_);
        std::swap(dropped_count, dropped_count_);
        std::swap(reopen, reopen_);
        last = stopping_;
      }
      if (reopen && !open_file().ok()) writing.append("the log file could not be opened again\n");
      if (dropped_count > 0) {
        append_line(&writing, options_.format, LogLevel::warning, "log",
                    std::to_string(dropped_count) + " lines were dropped: the log was too slow");
      }
      write_all(STDOUT_FILENO, writing);
      if (file_ >= 0) write_all(file_, writing);
      writing.clear();
    }
  }

  LogOptions options_;  // Constant while running.
  std::atomic<LogLevel> level_{LogLevel::info};
  std::atomic<bool> running_{false};
  std::thread thread_;
  int file_ = -1;  // The writing thread's, once it runs.
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string queue_;           // Under mutex_, as are the ones below.
  uint64_t dropped_count_ = 0;  //
  bool reopen_ = false;         //
  bool stopping_ = false;       //
};

// The one mutable global: any code may log, also before main has set anything up.
Logger& logger() {
  static Logger* const instance = new Logger;  // Never destroyed: threads may log until the end.
  return *instance;
}

}  // namespace

Status log_start(const LogOptions& options) {
  logger().set_level(options.level);
  return logger().start(options);
}
void log_stop() {
  logger().stop();
}
void log_reopen() {
  logger().reopen();
}
bool log_enabled(LogLevel level) {
  return logger().enabled(level);
}
void log_line(LogLevel level, std::string_view area, std::string_view message) {
  logger().line(level, area, message);
}

std::string masked_ip(std::string_view ip) {
  if (const size_t dot = ip.rfind('.'); dot != std::string_view::npos) {
    return std::string(ip.substr(0, dot)) + ".0/24";
  }
  size_t end = 0;  // Behind the first three groups of an IPv6 address.
  for (int group = 0; group < 3; ++group) {
    const size_t colon = ip.find(':', end);
    if (colon == std::string_view::npos || colon == end) return "-";
    end = colon + 1;
  }
  return std::string(ip.substr(0, end)) + ":/48";
}

std::string masked_id(std::string_view id) {
  constexpr size_t kShortIdBytes = 8;
  if (id.size() <= kShortIdBytes) return std::string(id);
  size_t kept = 4;  // Never cut inside a UTF-8 sequence.
  while (kept > 0 && (static_cast<unsigned char>(id[kept]) & 0xC0) == 0x80) --kept;
  return std::string(id.substr(0, kept)) + "\xE2\x80\xA6";
}

std::string masked_url(std::string_view url) {
  std::string masked(url);
  const size_t scheme_end = masked.find("://");
  if (scheme_end != std::string::npos) {
    const size_t authority = scheme_end + 3;
    const size_t authority_end = masked.find_first_of("/?", authority);
    const size_t at = masked.rfind('@', authority_end);
    if (at != std::string::npos && at >= authority) {
      const size_t colon = masked.find(':', authority);
      if (colon < at) masked.replace(colon + 1, at - colon - 1, "***");
    }
  }
  // Covers sslpassword= too, and every repetition.
  constexpr std::string_view kKey = "password=";
  for (size_t start = masked.find(kKey); start != std::string::npos;) {
    const size_t value = start + kKey.size();
    const size_t end = std::min(masked.find('&', value), masked.size());
    masked.replace(value, end - value, "***");
    start = masked.find(kKey, value);
  }
  return masked;
}

}  // namespace postback::base
