#include "base/time_mark.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <cctype>
#include <charconv>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <iterator>
#include <memory>
#include <random>

#include "base/file_sync.h"
#include "base/time.h"

namespace postback::base {
namespace {

constexpr std::string_view kFirstLine = "postback clock mark 1";

struct Number {
  const char* name;
  int64_t TimeMark::*member;
};
constexpr Number kNumbers[] = {
    {"time_us", &TimeMark::time_us},           {"boot_us", &TimeMark::boot_us},
    {"agreed_us", &TimeMark::agreed_us},       {"lag_us", &TimeMark::lag_us},
    {"course_us", &TimeMark::course_us},       {"course_from", &TimeMark::course_from},
    {"gap_began_us", &TimeMark::gap_began_us}, {"gap_ended_us", &TimeMark::gap_ended_us},
};

// Times of the guard are added up: numbers that no clock shows are refused, so no sum overflows.
constexpr int64_t kNumberMax = int64_t{1} << 57;  // The year 6537.

bool read_number(std::string_view text, int64_t* value) {
  const auto result = std::from_chars(text.data(), text.data() + text.size(), *value);
  return result.ec == std::errc() && result.ptr == text.data() + text.size() &&
         *value<kNumberMax&& * value> - kNumberMax;
}

std::string first_line_of(const char* path) {
  const std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(path, "re"), &std::fclose);
  char text[64] = {};
  if (file == nullptr || std::fgets(text, sizeof text, file.get()) == nullptr) return {};
  std::string line = text;
  while (!line.empty() && std::isspace(static_cast<unsigned char>(line.back())) != 0) {
    line.pop_back();
  }
  return line;
}

std::string find_boot_id() {
  const std::string id = first_line_of("/proc/sys/kernel/random/boot_id");
  if (!id.empty() && id.find(' ') == std::string::npos) return id;
  std::random_device random;
  return "process-" + std::to_string(random()) + "-" + std::to_string(random());
}

}  // namespace

std::string mark_to_text(const TimeMark& mark) {
  std::string text = std::string(kFirstLine) + "\nboot_id " + mark.boot_id + "\n";
  for (const Number& number : kNumbers) {
    text += std::string(number.name) + " " + std::to_string(mark.*number.member) + "\n";
  }
  return text;
}

std::optional<TimeMark> mark_from_text(std::string_view text) {
  TimeMark mark;
  size_t found_count = 0;
  bool is_first = true;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    if (end == std::string_view::npos) return std::nullopt;
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end + 1);
    if (is_first) {
      if (line != kFirstLine) return std::nullopt;
      is_first = false;
      continue;
    }
    const size_t space = line.find(' ');
    if (space == std::string_view::npos) return std::nullopt;
    const std::string_view name = line.substr(0, space);
    const std::string_view value = line.substr(space + 1);
    if (name == "boot_id") mark.boot_id = value;
    for (const Number& number : kNumbers) {
      if (name != number.name) continue;
      if (!read_number(value, &(mark.*number.member))) return std::nullopt;
      ++found_count;
    }
  }
  if (mark.boot_id.empty() || found_count != std::size(kNumbers)) return std::nullopt;
  return mark;
}

std::string mark_path(const std::string& data_dir) {
  return (std::filesystem::path(data_dir) / "clock.mark").string();
}

TimeMark load_mark(const std::string& data_dir) {
  const std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(mark_path(data_dir).c_str(), "re"),
                                                   &std::fclose);
  if (file == nullptr) return {};
  char text[4096];
  const size_t size = std::fread(text, 1, sizeof text, file.get());
  return mark_from_text({text, size}).value_or(TimeMark{});
}

Status keep_mark(const std::string& data_dir, const TimeMark& mark) {
  const Status status = make_folders(data_dir);
  return status.ok() ? replace_private_file(mark_path(data_dir), mark_to_text(mark)) : status;
}

// The system call itself: what stands in for the C library's (libfaketime) moves all its clocks.
int64_t boot_time_us() {
  timespec now{};
  syscall(SYS_clock_gettime, CLOCK_BOOTTIME, &now);
  return int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1000;
}

const std::string& boot_id() {
  static const std::string id = find_boot_id();
  return id;
}

TimeSample sample_clocks() {
  TimeSample sample;
  sample.wall_us = system_clock().wall_us();
  sample.boot_us = boot_time_us();
  sample.boot_id = boot_id();
  return sample;
}

}  // namespace postback::base
