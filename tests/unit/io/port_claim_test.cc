#include "io/port_claim.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <thread>

#include "io/listener.h"
#include "io/port_owner.h"

namespace postback::io {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using testing::HasSubstr;

// A listening socket that no process holds, as that of a process that was killed while the kernel
// still closes its io_uring: it is on its way through a socket pair, and its descriptor is closed.
class HeldByNobody {
 public:
  HeldByNobody() {
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends_), 0);
    const int listener = listen_tcp("127.0.0.1", 0, true).take();
    port_ = bound_port(listener);
    char byte = 'x';
    iovec data{&byte, 1};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &listener, sizeof listener);
    EXPECT_EQ(sendmsg(ends_[0], &message, 0), 1);
    close(listener);
  }
  ~HeldByNobody() { let_go(); }
  int port() const { return port_; }
  void let_go() {
    for (int& end : ends_) {
      if (end >= 0) close(end);
      end = -1;
    }
  }

 private:
  int ends_[2] = {-1, -1};
  int port_ = 0;
};

TEST(PortClaim, AFreePortGetsAsManyListenersAsAreAskedFor) {
  auto claimed = claim_port("127.0.0.1", 0, 3);
  ASSERT_TRUE(claimed.ok()) << claimed.status().message();
  ASSERT_EQ(claimed.value().listeners.size(), 3u);
  for (const int fd : claimed.value().listeners) {
    EXPECT_EQ(bound_port(fd), claimed.value().port);
    close(fd);
  }
}

TEST(PortClaim, AProgramThatListensIsNamedAtOnce) {
  // With SO_REUSEPORT, as another server of ours: the two must not share the port.
  const int other = listen_tcp("127.0.0.1", 0, true).take();
  const auto started = steady_clock::now();
  auto claimed = claim_port("127.0.0.1", bound_port(other), 1, milliseconds(60'000));
  ASSERT_FALSE(claimed.ok());
  EXPECT_LT(steady_clock::now() - started, milliseconds(30'000));
  EXPECT_THAT(claimed.status().message(),
              HasSubstr("(process " + std::to_string(getpid()) + ") listens there"));
  close(other);
}

TEST(PortClaim, APortThatADeadProcessStillHoldsIsTriedUntilItIsFree) {
  HeldByNobody held;
  EXPECT_FALSE(listening_process(held.port()).has_value());
  std::thread kernel([&held] {
    std::this_thread::sleep_for(milliseconds(200));  // The kernel takes its time.
    held.let_go();
  });
  auto claimed = claim_port("127.0.0.1", held.port(), 1, milliseconds(60'000));
  kernel.join();
  ASSERT_TRUE(claimed.ok()) << claimed.status().message();
  for (const int fd : claimed.value().listeners) close(fd);
}

TEST(PortClaim, APortThatStaysTakenIsToldWhenThePatienceEnds) {
  HeldByNobody held;
  auto claimed = claim_port("127.0.0.1", held.port(), 1, milliseconds(50));
  ASSERT_FALSE(claimed.ok());
  EXPECT_THAT(claimed.status().message(), HasSubstr("cannot be seen from here"));
}

TEST(PortClaim, AnAddressThatIsNotOursIsNoMatterOfPatience) {
  const auto started = steady_clock::now();
  EXPECT_FALSE(claim_port("203.0.113.1", 8000, 1, milliseconds(60'000)).ok());
  EXPECT_LT(steady_clock::now() - started, milliseconds(30'000));
}

}  // namespace
}  // namespace postback::io
