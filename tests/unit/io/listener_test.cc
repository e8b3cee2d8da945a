#include "io/listener.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>

namespace postback::io {
namespace {

using testing::HasSubstr;

int connect_to(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  return fd;
}

int option(int fd, int level, int name) {
  int value = -1;
  socklen_t size = sizeof(value);
  EXPECT_EQ(getsockopt(fd, level, name, &value, &size), 0);
  return value;
}

TEST(Listener, ListensOnAFreePortWithoutBlocking) {
  auto listening = listen_tcp("127.0.0.1", 0, false);
  ASSERT_TRUE(listening.ok()) << listening.status().message();
  const int fd = listening.value();
  EXPECT_GT(bound_port(fd), 0);
  EXPECT_NE(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
  EXPECT_NE(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
  EXPECT_EQ(option(fd, SOL_SOCKET, SO_ACCEPTCONN), 1);
  close(fd);
}

TEST(Listener, ItsConnectionsInheritNoDelay) {
  const int fd = listen_tcp("127.0.0.1", 0, false).take();
  const int peer = connect_to(bound_port(fd));
  const int accepted = accept4(fd, nullptr, nullptr, SOCK_CLOEXEC);
  ASSERT_GE(accepted, 0);
  EXPECT_NE(option(accepted, IPPROTO_TCP, TCP_NODELAY), 0);
  EXPECT_EQ(option(peer, IPPROTO_TCP, TCP_NODELAY), 0);
  tune_accepted(peer);
  EXPECT_NE(option(peer, IPPROTO_TCP, TCP_NODELAY), 0);
  for (const int each : {fd, peer, accepted}) close(each);
}

TEST(Listener, TakesIpv6AndIpv4OnTheIpv6Wildcard) {
  auto listening = listen_tcp("::", 0, false);
  if (!listening.ok()) GTEST_SKIP() << "no IPv6 here: " << listening.status().message();
  const int peer = connect_to(bound_port(listening.value()));
  close(peer);
  close(listening.value());
}

TEST(Listener, SharesAPortOnlyWhenAsked) {
  const int first = listen_tcp("127.0.0.1", 0, true).take();
  auto second = listen_tcp("127.0.0.1", bound_port(first), true);
  EXPECT_TRUE(second.ok()) << second.status().message();
  auto third = listen_tcp("127.0.0.1", bound_port(first), false);
  EXPECT_FALSE(third.ok());
  close(first);
  if (second.ok()) close(second.value());
}

TEST(Listener, NamesThePortThatIsInUseAndWhatToDo) {
  const int fd = listen_tcp("127.0.0.1", 0, false).take();
  const int port = bound_port(fd);
  auto refused = listen_tcp("127.0.0.1", port, false);
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.status().message(), HasSubstr("127.0.0.1:" + std::to_string(port)));
  EXPECT_THAT(refused.status().message(), HasSubstr("another program listens there"));
  EXPECT_THAT(refused.status().message(), HasSubstr("choose another PORT"));
  close(fd);
}

TEST(Listener, RefusesAnAddressThatIsNotOfThisMachine) {
  auto refused = listen_tcp("192.0.2.1", 0, false);  // TEST-NET-1 (RFC 5737).
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.status().message(), HasSubstr("192.0.2.1:0"));
  EXPECT_THAT(refused.status().message(), HasSubstr("does not have that address"));
}

TEST(Listener, RefusesWhatIsNotAnAddress) {
  for (const char* host : {"", "localhost", "256.0.0.1", "fe80:::1", "10.0.0.1:80"}) {
    auto refused = listen_tcp(host, 0, false);
    ASSERT_FALSE(refused.ok()) << host;
    EXPECT_THAT(refused.status().message(), HasSubstr("not an IP address")) << host;
  }
}

TEST(Listener, RefusesAPortOutOfRange) {
  for (const int port : {-1, 65536}) {
    auto refused = listen_tcp("127.0.0.1", port, false);
    ASSERT_FALSE(refused.ok());
    EXPECT_THAT(refused.status().message(), HasSubstr("0 to 65535"));
  }
}

// Root may bind any port, so this runs where the system says otherwise.
TEST(Listener, NamesTheRemedyForAPrivilegedPort) {
  auto refused = listen_tcp("127.0.0.1", 81, false);
  if (refused.ok()) {
    close(refused.value());
    GTEST_SKIP() << "this user may bind port 81";
  }
  EXPECT_THAT(refused.status().message(), HasSubstr("127.0.0.1:81"));
}

TEST(Listener, HasNoPortWhereThereIsNone) {
  int pipe_ends[2];
  ASSERT_EQ(pipe2(pipe_ends, O_CLOEXEC), 0);
  EXPECT_EQ(bound_port(pipe_ends[0]), -1);
  for (const int fd : pipe_ends) close(fd);
}

TEST(AddressText, IsThatOfInetNtop) {
  for (const char* text : {"0.0.0.0", "9.10.99.100", "127.0.0.1", "255.255.255.255"}) {
    sockaddr_storage address{};
    address.ss_family = AF_INET;
    auto& ip = reinterpret_cast<sockaddr_in&>(address).sin_addr;
    ASSERT_EQ(inet_pton(AF_INET, text, &ip), 1);
    EXPECT_EQ(address_text(address), text);
  }
  const std::pair<const char*, const char*> kIp6[] = {
      {"::1", "::1"}, {"2001:db8::8:800", "2001:db8::8:800"}, {"::ffff:10.0.0.1", "10.0.0.1"}};
  for (const auto& [text, expected] : kIp6) {
    sockaddr_storage address{};
    address.ss_family = AF_INET6;
    auto& ip = reinterpret_cast<sockaddr_in6&>(address).sin6_addr;
    ASSERT_EQ(inet_pton(AF_INET6, text, &ip), 1);
    EXPECT_EQ(address_text(address), expected);
  }
}

TEST(AddressText, IsEmptyForOtherFamilies) {
  sockaddr_storage address{};
  address.ss_family = AF_UNIX;
  EXPECT_EQ(address_text(address), "");
}

}  // namespace
}  // namespace postback::io
