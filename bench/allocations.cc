// Counts heap allocations per request in steady state: the whole server in this process, over
// SQLite on disk, driven over loopback by a client that allocates nothing itself. Counts operator
// new, which is what our code, the C++ library and abseil use; SQLite and libpq call malloc.
//
//   build/bench/allocations          prints a table; exit 1 when a bound is passed
//
// What is left in "unique" are the blocks and tables of the dedupe set as it grows: a few per
// hundred ids at first, fewer later. A quarantined postback builds its message for a person; it is
// not the hot path. The registry's look at the control database, twice a second, is in every line.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>

#include "partner/control_schema.h"
#include "partner/sql_client.h"
#include "server/server.h"

namespace {

std::atomic<uint64_t> allocation_count{0};
thread_local bool counted = true;

void* count_and_allocate(size_t size) {
  if (counted) allocation_count.fetch_add(1, std::memory_order_relaxed);
  void* memory = std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) std::abort();
  return memory;
}

}  // namespace

void* operator new(size_t size) {
  return count_and_allocate(size);
}
void* operator new[](size_t size) {
  return count_and_allocate(size);
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete[](void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, size_t) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, size_t) noexcept {
  std::free(memory);
}

namespace {

using postback::base::Settings;

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "allocations: %s\n", what);
  std::exit(1);
}

void register_partner(const Settings& settings) {
  auto client =
      postback::partner::SqlClient::open(settings.database_url, postback::partner::SqlMode::create);
  if (!client.ok()) fail(client.status().message().c_str());
  const auto sql = client.take();
  if (!postback::partner::create_control_schema(sql.get()).ok()) fail("no control schema");
  const auto status = sql->run(
      "INSERT INTO partners (partner_code, partner_name, endpoint_path, database_name, "
      "parameter_mapping) VALUES ('bench', 'Bench', '/bench', 'bench_db', "
      "'{\"sub_id\":\"aff_sub\",\"media_id\":\"aff_sub2\"}')");
  if (!status.ok()) fail(status.message().c_str());
}

int connect_to(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) fail("no server");
  const int one = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  return fd;
}

// One request, one answer; `expected` must stand in it.
void call(int fd, const char* request, int size, const char* expected) {
  if (write(fd, request, static_cast<size_t>(size)) != size) fail("the server does not take it");
  static char answer[64 * 1024];
  ssize_t received = 0;
  const char* body = nullptr;
  while (true) {
    const ssize_t bytes =
        read(fd, answer + received, sizeof answer - 1 - static_cast<size_t>(received));
    if (bytes <= 0) fail("the server closed the connection");
    received += bytes;
    answer[received] = '\0';
    body = std::strstr(answer, "\r\n\r\n");
    const char* length = std::strstr(answer, "Content-Length: ");
    if (body == nullptr || length == nullptr) continue;
    if (answer + received - (body + 4) >= std::atoi(length + 16)) break;
  }
  if (std::strstr(body, expected) == nullptr) fail(body);
}

struct Scenario {
  const char* name;
  const char* form;  // One %d: the number of the request; one more for the connection's id.
  const char* expected;
  bool unique;
  double allocations_max;  // Per request.
};

double measure(int fd, const Scenario& scenario, int* next) {
  constexpr int kWarmUp = 3000;
  constexpr int kRequests = 10'000;
  uint64_t before = 0;
  for (int i = 0; i < kWarmUp + kRequests; ++i) {
    if (i == kWarmUp) before = allocation_count.load();
    char request[1024];
    const int size =
        std::snprintf(request, sizeof request, scenario.form, scenario.unique ? ++*next : 0);
    call(fd, request, size, scenario.expected);
  }
  return static_cast<double>(allocation_count.load() - before) / kRequests;
}

constexpr const char* kUnique =
    "GET /partner/bench?aff_sub=test123&aff_sub2=media456&click_id=click789&usd_sale_amount=99.99"
    "&usd_payout=9.99&offer_name=Test&conversion_id=conv%08d&conversion_datetime=2025-01-15 "
    "HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bench\r\n\r\n";
constexpr const char* kMacro =
    "GET /partner/bench?aff_sub=test123&conversion_id={conversion_id}&n=%d HTTP/1.1\r\n"
    "Host: localhost\r\n\r\n";
constexpr const char* kMissing = "GET /partner/nobody?n=%d HTTP/1.1\r\nHost: localhost\r\n\r\n";

}  // namespace

int main() {
  char folder[] = "/tmp/postback-allocations-XXXXXX";
  if (mkdtemp(folder) == nullptr) fail("no folder");
  Settings settings;
  settings.port = 0;
  settings.cores = 1;
  settings.data_dir = folder;
  settings.database_url = std::string("sqlite:") + folder + "/control.db";
  register_partner(settings);
  bool passed = true;
  {
    postback::server::Server server(settings);
    if (!server.start().ok()) fail("the server does not start");
    server.serve();
    const int fd = connect_to(server.port());
    counted = false;
    const Scenario scenarios[] = {
        {"repeat", kUnique, "\"duplicate\"", false, 0.01},
        {"unique", kUnique, "\"success\"", true, 0.1},
        {"quarantine", kMacro, "conversion_id_macro", true, 8},
        {"unknown", kMissing, "unknown_partner", true, 0.01},
    };
    int next = 0;
    char first[1024];
    call(fd, first, std::snprintf(first, sizeof first, kUnique, 0), "\"success\"");
    std::printf("%-12s %24s %8s\n", "request", "allocations per request", "bound");
    for (const Scenario& scenario : scenarios) {
      const double allocations = measure(fd, scenario, &next);
      const bool ok = allocations <= scenario.allocations_max;
      passed &= ok;
      std::printf("%-12s %24.4f %8.2f%s\n", scenario.name, allocations, scenario.allocations_max,
                  ok ? "" : "  PASSED THE BOUND");
    }
    close(fd);
    server.stop();
  }
  const std::string remove = std::string("rm -rf ") + folder;
  if (std::system(remove.c_str()) != 0) fail("the folder could not be removed");
  return passed ? 0 : 1;
}
