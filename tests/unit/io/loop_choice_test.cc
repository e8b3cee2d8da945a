#include "io/loop_choice.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <seccomp.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <string>

namespace postback::io {
namespace {

using base::IoEngine;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

// Every system call of io_uring in this process ends in `action` from now on.
bool forbid(const char* system_call, uint32_t action) {
  scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
  const bool loaded =
      filter != nullptr &&
      seccomp_rule_add(filter, action, seccomp_syscall_resolve_name(system_call), 0) == 0 &&
      seccomp_load(filter) == 0;
  seccomp_release(filter);
  return loaded;
}

// What make_loop(wanted) says in a child process in which that system call is forbidden:
// "ENGINE: REASON" or "error: MESSAGE", or "" if the child died.
std::string choice_without(const char* system_call, uint32_t action, IoEngine wanted) {
  int pipe_ends[2];
  EXPECT_EQ(pipe2(pipe_ends, O_CLOEXEC), 0);
  const pid_t child = fork();
  EXPECT_GE(child, 0);
  if (child == 0) {
    std::string said = "no filter";
    if (forbid(system_call, action)) {
      auto choice = make_loop(wanted);
      if (choice.ok()) choice.value().loop->turn(std::chrono::nanoseconds(0));
      said = choice.ok() ? choice.value().engine + ": " + choice.value().reason
                         : "error: " + choice.status().message();
    }
    _exit(write(pipe_ends[1], said.data(), said.size()) > 0 ? 0 : 1);
  }
  close(pipe_ends[1]);
  std::string said;
  char piece[512];
  for (ssize_t got; (got = read(pipe_ends[0], piece, sizeof(piece))) > 0;) {
    said.append(piece, static_cast<size_t>(got));
  }
  close(pipe_ends[0]);
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? said : "";
}

TEST(LoopChoice, EpollIsHadForTheAsking) {
  auto choice = make_loop(IoEngine::epoll);
  ASSERT_TRUE(choice.ok()) << choice.status().message();
  EXPECT_EQ(choice.value().engine, "epoll");
  EXPECT_STREQ(choice.value().loop->name(), "epoll");
  EXPECT_THAT(choice.value().reason, HasSubstr("IO_ENGINE=epoll"));
}

TEST(LoopChoice, AutomaticAlwaysGivesALoopAndAReason) {
  auto choice = make_loop(IoEngine::automatic);
  ASSERT_TRUE(choice.ok()) << choice.status().message();
  EXPECT_EQ(choice.value().engine, choice.value().loop->name());
  EXPECT_FALSE(choice.value().reason.empty());
  std::cout << choice.value().engine << ": " << choice.value().reason << std::endl;
}

TEST(LoopChoice, IoUringIsHadOrRefusedWithTheRemedy) {
  auto choice = make_loop(IoEngine::io_uring);
  if (choice.ok()) {
    EXPECT_STREQ(choice.value().loop->name(), "io_uring");
  } else {
    EXPECT_THAT(choice.status().message(), HasSubstr("IO_ENGINE=auto"));
  }
}

TEST(LoopChoice, FallsBackToEpollWhereASeccompProfileForbidsIoUring) {
  EXPECT_THAT(choice_without("io_uring_setup", SCMP_ACT_ERRNO(EPERM), IoEngine::automatic),
              AllOf(StartsWith("epoll: "), HasSubstr("io_uring_setup failed"), HasSubstr("(EPERM)"),
                    HasSubstr("seccomp"), HasSubstr("kernel.io_uring_disabled")));
}

TEST(LoopChoice, FallsBackToEpollWhereTheKernelHasNoIoUring) {
  EXPECT_THAT(choice_without("io_uring_setup", SCMP_ACT_ERRNO(ENOSYS), IoEngine::automatic),
              AllOf(StartsWith("epoll: "), HasSubstr("io_uring_setup failed"),
                    HasSubstr("(ENOSYS)"), HasSubstr("Linux 6.1")));
}

TEST(LoopChoice, FallsBackToEpollForAnyErrorOfAnyStep) {
  for (const uint32_t error : {EINVAL, ENOMEM, EMFILE, EIO}) {
    EXPECT_THAT(choice_without("io_uring_setup", SCMP_ACT_ERRNO(error), IoEngine::automatic),
                AllOf(StartsWith("epoll: "), HasSubstr(strerrorname_np(static_cast<int>(error)))));
  }
  // Where setup is refused already (this very machine, perhaps), later steps are not reached.
  if (!make_loop(IoEngine::io_uring).ok()) GTEST_SKIP() << "io_uring is refused here";
  EXPECT_THAT(choice_without("io_uring_register", SCMP_ACT_ERRNO(EINVAL), IoEngine::automatic),
              AllOf(StartsWith("epoll: "), HasSubstr("io_uring_register"), HasSubstr("(EINVAL)")));
  EXPECT_THAT(choice_without("io_uring_enter", SCMP_ACT_ERRNO(EPERM), IoEngine::automatic),
              AllOf(StartsWith("epoll: "), HasSubstr("io_uring_enter"), HasSubstr("(EPERM)")));
}

TEST(LoopChoice, IoUringAskedForAndRefusedIsAnErrorWithCauseAndRemedy) {
  EXPECT_THAT(choice_without("io_uring_setup", SCMP_ACT_ERRNO(EPERM), IoEngine::io_uring),
              AllOf(StartsWith("error: IO_ENGINE=io_uring"), HasSubstr("(EPERM)"),
                    HasSubstr("seccomp"), HasSubstr("set IO_ENGINE=auto")));
}

TEST(LoopChoice, EpollNeverMakesAnIoUringSystemCall) {
  for (const char* system_call : {"io_uring_setup", "io_uring_enter", "io_uring_register"}) {
    EXPECT_THAT(choice_without(system_call, SCMP_ACT_KILL_PROCESS, IoEngine::epoll),
                StartsWith("epoll: "));
  }
}

}  // namespace
}  // namespace postback::io
