#include "load/account.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cinttypes>
#include <cstdlib>
#include <cstring>

#include "load/answer.h"

namespace postback::load {
namespace {

base::Status cannot_open(const std::string& path) {
  return base::Status::error("cannot write " + path + ": " + std::strerror(errno));
}

// User and system time of this process: when it nears the run's length, the client is the limit.
double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

}  // namespace

Account::~Account() {
  if (ids_file_ >= 0) close(ids_file_);
  if (csv_file_ != nullptr) std::fclose(csv_file_);
}

base::Status Account::open() {
  if (!options_.ids_file.empty()) {
    ids_file_ = ::open(options_.ids_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (ids_file_ < 0) return cannot_open(options_.ids_file);
  }
  if (!options_.csv_file.empty()) {
    csv_file_ = std::fopen(options_.csv_file.c_str(), "we");
    if (csv_file_ == nullptr) return cannot_open(options_.csv_file);
    std::fputs("second,answers,not_200,broken,p50_ms,p99_ms,max_ms,waiting\n", csv_file_);
  }
  return base::Status();
}

void Account::sent(uint64_t late_us) {
  ++sent_;
  late_.add(late_us);
}

void Account::answered(const std::string& id, int status, std::string_view body,
                       uint64_t latency_us) {
  latencies_.add(latency_us);
  second_.add(latency_us);
  if (status != 200) {
    ++not_200_, ++second_not_200_;
    return;
  }
  if (body.find("\"" + id + "\"") == body.npos) {
    ++mismatched_;
    return;
  }
  const std::string_view word = status_word(body);
  ++(word == "success"     ? success_
     : word == "duplicate" ? duplicate_
     : word == "accepted"  ? accepted_
                           : other_200_);
  if (ids_file_ >= 0) ids_.append(id).push_back('\n');
}

void Account::never_sent(uint64_t waited_us) {
  ++unsent_;
  latencies_.add(waited_us);
}

void Account::write_ids() {
  size_t written = 0;
  while (written < ids_.size()) {
    const ssize_t size = write(ids_file_, ids_.data() + written, ids_.size() - written);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) {
      // Without its record the run proves nothing.
      std::fprintf(stderr, "offered_load: %s\n", cannot_open(options_.ids_file).message().c_str());
      std::exit(1);
    }
    written += static_cast<size_t>(size);
  }
  ids_.clear();
}

void Account::end_second(uint64_t second, uint64_t waiting) {
  const double p50 = second_.quantile_ms(0.5);
  const double p99 = second_.quantile_ms(0.99);
  if (csv_file_ != nullptr) {
    std::fprintf(csv_file_,
                 "%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%.3f,%.3f,%.3f,%" PRIu64 "\n",
                 second, second_.count(), second_not_200_, second_broken_, p50, p99,
                 second_.max_ms(), waiting);
    std::fflush(csv_file_);
  }
  if (!options_.quiet) {
    std::fprintf(stderr,
                 "%4" PRIu64 " s: %" PRIu64 " answers, %" PRIu64 " not 200, %" PRIu64
                 " broken, p50 %.2f ms, p99 %.2f ms, max %.2f ms, %" PRIu64 " waiting\n",
                 second + 1, second_.count(), second_not_200_, second_broken_, p50, p99,
                 second_.max_ms(), waiting);
  }
  second_.clear();
  second_not_200_ = 0;
  second_broken_ = 0;
}

void Account::print(double seconds, uint64_t offered) const {
  std::printf("{\"offered\":%" PRIu64 ",\"sent\":%" PRIu64 ",\"answers\":%" PRIu64
              ",\"success\":%" PRIu64 ",\"duplicate\":%" PRIu64 ",\"accepted\":%" PRIu64
              ",\"other_200\":%" PRIu64 ",\"mismatched\":%" PRIu64 ",\"not_200\":%" PRIu64
              ",\"broken\":%" PRIu64 ",\"timeouts\":%" PRIu64 ",\"unsent\":%" PRIu64
              ",\"reconnects\":%" PRIu64,
              offered, sent_, latencies_.count() - unsent_, success_, duplicate_, accepted_,
              other_200_, mismatched_, not_200_, broken_, timeouts_, unsent_, reconnects_);
  std::printf(
      ",\"seconds\":%.3f,\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"p999_ms\":%.3f,"
      "\"max_ms\":%.3f,\"sent_late_p99_ms\":%.3f,\"client_cpu_seconds\":%.2f}\n",
      seconds, latencies_.quantile_ms(0.5), latencies_.quantile_ms(0.99),
      latencies_.quantile_ms(0.999), latencies_.max_ms(), late_.quantile_ms(0.99), cpu_seconds());
}

}  // namespace postback::load
