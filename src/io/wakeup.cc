#include "io/wakeup.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "base/check.h"

namespace postback::io {

Wakeup::Wakeup() : fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), error_(fd_ < 0 ? errno : 0) {}

Wakeup::~Wakeup() {
  if (fd_ >= 0) ::close(fd_);
}

void Wakeup::wake() {
  // An exchange and not a load first: it must follow what the thread has posted, or a wake could
  // be taken for answered by a turn that has not seen the post.
  if (woken_.exchange(true, std::memory_order_acq_rel)) return;
  const uint64_t one = 1;
  ssize_t written;
  do {
    written = ::write(fd_, &one, sizeof(one));
  } while (written < 0 && errno == EINTR);
  CHECK(written == sizeof(one));
}

}  // namespace postback::io
