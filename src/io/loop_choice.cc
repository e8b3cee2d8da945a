#include "io/loop_choice.h"

#include <string.h>

#include <cerrno>
#include <utility>

#include "io/epoll_loop.h"
#include "io/uring_loop.h"

namespace postback::io {
namespace {

// What an errno of the trial most likely means, and what the operator can do about it.
const char* cause_and_cure(int error) {
  switch (error) {
    case ENOSYS:
      return "this kernel or sandbox (gVisor, Cloud Run's first generation) has no io_uring; "
             "use Linux 6.1 or later, or Cloud Run's second generation";
    case EPERM:
    case EACCES:
      return "a seccomp profile (Docker's default one), the sysctl kernel.io_uring_disabled or a "
             "security module forbids it; allow io_uring_setup, io_uring_enter and "
             "io_uring_register in the profile, or set kernel.io_uring_disabled=0";
    case EINVAL:
      return "the kernel is too old for the ring the server needs; use Linux 6.1 or later";
    case ENOMEM:
    case EAGAIN:
      return "the system refuses the memory; raise the container's memory limit or the "
             "locked-memory limit (ulimit -l)";
    case EMFILE:
    case ENFILE:
      return "too many open files; raise the limit (ulimit -n, LimitNOFILE)";
    default:
      return "an unusual refusal; see io_uring_setup(2) for this error on your kernel";
  }
}

std::string error_text(int error) {
  const char* name = strerrorname_np(error);
  return std::string(strerrordesc_np(error) != nullptr ? strerrordesc_np(error) : "error") + " (" +
         (name != nullptr ? name : std::to_string(error)) + ")";
}

std::string refusal_text(const UringRefusal& refusal) {
  return std::string("io_uring cannot be used: ") + refusal.step +
         " failed: " + error_text(refusal.error) + ": " + cause_and_cure(refusal.error);
}

base::Result<LoopChoice> make_epoll(std::string reason) {
  int error = 0;
  std::unique_ptr<Loop> loop = EpollLoop::create({}, &error);
  if (loop == nullptr) {
    return base::Status::error("the epoll event loop cannot be made: " + error_text(error) +
                               ": raise the limit of open files (ulimit -n, LimitNOFILE) or see "
                               "epoll_create1(2) for this error");
  }
  return LoopChoice{std::move(loop), "epoll", std::move(reason)};
}

}  // namespace

base::Result<LoopChoice> make_loop(base::IoEngine wanted) {
  if (wanted == base::IoEngine::epoll) return make_epoll("IO_ENGINE=epoll asks for it");
  UringRefusal refusal;
  std::unique_ptr<Loop> loop = UringLoop::create({}, &refusal);
  if (loop != nullptr) {
    return LoopChoice{std::move(loop), "io_uring",
                      wanted == base::IoEngine::io_uring
                          ? "IO_ENGINE=io_uring asks for it"
                          : "the kernel offers everything the server needs of it"};
  }
  if (wanted == base::IoEngine::io_uring) {
    return base::Status::error("IO_ENGINE=io_uring, but " + refusal_text(refusal) +
                               "; or set IO_ENGINE=auto to serve with epoll");
  }
  return make_epoll(refusal_text(refusal));
}

}  // namespace postback::io
