// offered_load: an open-loop load generator. Postbacks leave at a fixed rate, and each latency
// counts from the moment its postback was due, so that a server that stops for a second is seen
// with every postback that had to wait for it ("coordinated omission" is the name of not seeing
// them).
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <cstdio>

#include "load/account.h"
#include "load/generator.h"
#include "load/options.h"

namespace {

volatile int stop = 0;

void ask_to_stop(int) {
  stop = 1;
}

// Connections need descriptors, and waits of some microseconds a timer without slack.
void prepare_process() {
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
  struct sigaction action {};
  action.sa_handler = ask_to_stop;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

int fail(const postback::base::Status& status) {
  std::fprintf(stderr, "offered_load: %s\n", status.message().c_str());
  return 1;
}

}  // namespace

int main(int count, char** words) {
  auto options = postback::load::parse_options(count, words);
  if (!options.ok()) return fail(options.status());
  if (options.value().help) {
    std::fputs(postback::load::kUsage, stdout);
    return 0;
  }
  prepare_process();
  postback::load::Account account(options.value());
  if (const auto status = account.open(); !status.ok()) return fail(status);
  postback::load::Generator generator(options.value(), &account, &stop);
  if (const auto status = generator.prepare(); !status.ok()) return fail(status);
  generator.run();
  return 0;
}
