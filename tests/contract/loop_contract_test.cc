// The contract of postback/loop.h for sockets, over both backends.
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "io/listener.h"
#include "loop_fixture.h"

namespace postback::io {
namespace {

INSTANTIATE_TEST_SUITE_P(Engines, LoopContract, testing::ValuesIn(all_engines()),
                         [](const auto& info) { return std::string(info.param.label); });

// --- accept ---

struct Listener {
  Listener() : fd(listen_tcp("127.0.0.1", 0, false).take()), port(bound_port(fd)) {}
  int fd;
  int port;
};

TEST_P(LoopContract, AcceptGivesANonBlockingDescriptorOfTheClients) {
  Recorder client;
  Listener listener;
  const SocketId id = loop_->open(listener.fd, &client, 7);
  loop_->accept(id, kManyAccepts);
  const Fd peer = tcp_connect(listener.port);
  ASSERT_TRUE(turn_until([&] { return client.count(Event::accept) == 1; }));
  const Record& record = client.first(Event::accept);
  ASSERT_GE(record.result, 0);
  const Fd accepted(record.result);
  EXPECT_EQ(record.context, 7u);
  EXPECT_EQ(record.socket, id);
  EXPECT_NE(fcntl(accepted.get(), F_GETFL) & O_NONBLOCK, 0);
  EXPECT_NE(fcntl(accepted.get(), F_GETFD) & FD_CLOEXEC, 0);
  close_and_wait(id, &client);
}

TEST_P(LoopContract, AcceptGoesOnForManyConnections) {
  constexpr size_t kConnections = 300;
  raise_open_files();
  Recorder client;
  Listener listener;
  const SocketId id = loop_->open(listener.fd, &client, 0);
  loop_->accept(id, kManyAccepts);
  std::vector<Fd> peers;
  while (peers.size() < kConnections) peers.push_back(tcp_connect(listener.port));
  ASSERT_TRUE(turn_until([&] { return client.count(Event::accept) == kConnections; }));
  for (const Record& record : client.records) {
    ASSERT_GE(record.result, 0);
    ::close(record.result);
  }
  close_and_wait(id, &client);
}

TEST_P(LoopContract, CloseEndsAccepting) {
  Recorder client;
  Listener listener;
  const SocketId id = loop_->open(listener.fd, &client, 0);
  loop_->accept(id, kManyAccepts);
  turn(milliseconds(0));
  close_and_wait(id, &client);
  EXPECT_FALSE(fd_is_open(listener.fd));
  EXPECT_EQ(client.records.size(), 1u);
  EXPECT_TRUE(listen_tcp("127.0.0.1", listener.port, false).ok()) << "the port is free again";
}

TEST_P(LoopContract, NoMoreAreAcceptedThanWereAskedForAndTheOthersWait) {
  Recorder client;
  Listener listener;
  const SocketId id = loop_->open(listener.fd, &client, 0);
  std::vector<Fd> peers;
  for (int i = 0; i < 6; ++i) peers.push_back(tcp_connect(listener.port));
  turn(milliseconds(0));
  EXPECT_TRUE(client.records.empty()) << "nothing before accept()";
  loop_->accept(id, 2);
  ASSERT_TRUE(turn_until([&] { return client.count(Event::accept) == 2; }));
  turn(milliseconds(20));
  EXPECT_EQ(client.count(Event::accept), 2u);
  loop_->accept(id, 1);
  loop_->accept(id, 2);
  ASSERT_TRUE(turn_until([&] { return client.count(Event::accept) == 5; }));
  turn(milliseconds(20));
  EXPECT_EQ(client.count(Event::accept), 5u);
  EXPECT_EQ(waiting_count(listener.fd), 1);
  for (const Record& record : client.records) ::close(record.result);
  close_and_wait(id, &client);
}

// More than a multishot accept may be trusted with, so that it is ended on the way.
TEST_P(LoopContract, ManyAreAcceptedButNotOneMoreThanWereAskedFor) {
  raise_open_files();
  Recorder client;
  Listener listener;
  const SocketId id = loop_->open(listener.fd, &client, 0);
  constexpr uint32_t kAsked = 200;
  loop_->accept(id, kAsked);
  std::vector<Fd> peers;
  while (peers.size() < kAsked + 50) {
    peers.push_back(tcp_connect(listener.port));
    if (peers.size() % 10 == 0) turn(milliseconds(0));
  }
  ASSERT_TRUE(turn_until([&] { return client.count(Event::accept) == kAsked; }));
  turn(milliseconds(20));
  EXPECT_EQ(client.count(Event::accept), kAsked);
  EXPECT_EQ(waiting_count(listener.fd), 50);
  for (const Record& record : client.records) ::close(record.result);
  close_and_wait(id, &client);
}

TEST_P(LoopContract, AClosedListenerFirstHandsOutWhatWaits) {
  Recorder client;
  Listener listener;
  const SocketId id = loop_->open(listener.fd, &client, 0);
  loop_->accept(id, kManyAccepts);
  turn(milliseconds(0));
  std::vector<Fd> peers;
  for (int i = 0; i < 3; ++i) peers.push_back(tcp_connect(listener.port));
  loop_->close(id);
  ASSERT_TRUE(turn_until([&] { return client.count(Event::closed) == 1; }));
  ASSERT_EQ(client.records.size(), 4u);
  EXPECT_EQ(client.records.back().event, Event::closed);
  for (size_t i = 0; i < 3; ++i) {
    const Fd accepted(client.records[i].result);
    write_all(accepted.get(), "x");
  }
  for (const Fd& peer : peers) {
    char byte;
    EXPECT_EQ(::read(peer.get(), &byte, 1), 1) << "served, not reset";
  }
}

// --- recv and send ---

TEST_P(LoopContract, BytesComeAndGo) {
  Recorder client;
  auto [ours, peer] = stream_pair();
  const SocketId id = loop_->open(ours.release(), &client, 42);
  loop_->recv(id);
  write_all(peer.get(), "hello");
  ASSERT_TRUE(turn_until([&] { return client.count(Event::recv) == 1; }));
  EXPECT_EQ(client.received(), "hello");
  EXPECT_EQ(client.records[0].context, 42u);
  const std::string answer = "good day";
  loop_->send(id, answer.data(), answer.size());
  ASSERT_TRUE(turn_until([&] { return client.count(Event::send) == 1; }));
  EXPECT_EQ(client.first(Event::send).result, static_cast<int>(answer.size()));
  char bytes[16];
  EXPECT_EQ(::read(peer.get(), bytes, sizeof(bytes)), static_cast<ssize_t>(answer.size()));
  close_and_wait(id, &client);
}

TEST_P(LoopContract, StreamEndIsZeroAfterTheLastBytesAndStaysSo) {
  Recorder client;
  auto [ours, peer] = stream_pair();
  const SocketId id = loop_->open(ours.release(), &client, 0);
  write_all(peer.get(), "last");
  peer.reset();
  for (size_t count = 1; count <= 3; ++count) {
    loop_->recv(id);
    ASSERT_TRUE(turn_until([&] { return client.count(Event::recv) == count; }));
  }
  EXPECT_EQ(client.records[0].data, "last");
  EXPECT_EQ(client.records[1].result, 0);
  EXPECT_EQ(client.records[2].result, 0);
  close_and_wait(id, &client);
}

TEST_P(LoopContract, StreamEndBehindBytesOfTcpIsNotMissed) {
  Recorder client;
  Listener listener;
  Fd peer = tcp_connect(listener.port);
  const Fd listening(listener.fd);
  const int accepted = accept4(listening.get(), nullptr, nullptr, SOCK_NONBLOCK);
  ASSERT_GE(accepted, 0);
  const SocketId id = loop_->open(accepted, &client, 0);
  loop_->recv(id);
  turn(milliseconds(0));
  write_all(peer.get(), "bytes");
  ASSERT_EQ(shutdown(peer.get(), SHUT_WR), 0);
  ASSERT_TRUE(turn_until([&] { return client.count(Event::recv) == 1; }));
  loop_->recv(id);
  ASSERT_TRUE(turn_until([&] { return client.count(Event::recv) == 2; }));
  EXPECT_EQ(client.records[0].data, "bytes");
  EXPECT_EQ(client.records[1].result, 0);
  close_and_wait(id, &client);
}

TEST_P(LoopContract, ResetIsAnError) {
  Recorder client;
  Listener listener;
  Fd peer = tcp_connect(listener.port);
  const Fd listening(listener.fd);
  const int accepted = accept4(listening.get(), nullptr, nullptr, SOCK_NONBLOCK);
  ASSERT_GE(accepted, 0);
  const SocketId id = loop_->open(accepted, &client, 0);
  loop_->recv(id);
  turn(milliseconds(0));
  const linger abort_on_close{1, 0};
  ASSERT_EQ(setsockopt(peer.get(), SOL_SOCKET, SO_LINGER, &abort_on_close, sizeof(linger)), 0);
  peer.reset();
  ASSERT_TRUE(turn_until([&] { return client.count(Event::recv) == 1; }));
  EXPECT_EQ(client.first(Event::recv).result, -ECONNRESET);
  close_and_wait(id, &client);
}

TEST_P(LoopContract, OneRecvTakesAtMostABufferAndTheRestFollows) {
  Recorder client;
  auto [ours, peer] = stream_pair();
  const SocketId id = loop_->open(ours.release(), &client, 0);
  std::string bytes;
  for (size_t i = 0; i < 3 * GetParam().recv_bytes_max + 5; ++i) {
    bytes.push_back(static_cast<char>('a' + i % 23));
  }
  write_all(peer.get(), bytes);
  while (client.received().size() < bytes.size()) {
    const size_t before = client.count(Event::recv);
    loop_->recv(id);
    ASSERT_TRUE(turn_until([&] { return client.count(Event::recv) > before; }));
    EXPECT_LE(client.records.back().data.size(), GetParam().recv_bytes_max);
    ASSERT_GT(client.records.back().result, 0);
  }
  EXPECT_EQ(client.received(), bytes);
  close_and_wait(id, &client);
}

TEST_P(LoopContract, ALargeSendIsTakenInPiecesAsThePeerReads) {
  Recorder client;
  auto [ours, peer] = stream_pair();
  const int tiny = 1;  // The kernel raises it to its minimum, a few KiB.
  ASSERT_EQ(setsockopt(ours.get(), SOL_SOCKET, SO_SNDBUF, &tiny, sizeof(tiny)), 0);
  const SocketId id = loop_->open(ours.release(), &client, 0);
  std::string bytes(1 << 20, 'x');
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 7 + i / 251);
  size_t sent = 0;
  // Until the peer reads, sends come to a halt with one outstanding.
  for (;;) {
    const size_t before = client.count(Event::send);
    loop_->send(id, bytes.data() + sent, bytes.size() - sent);
    turn(milliseconds(20));
    turn(milliseconds(20));
    if (client.count(Event::send) == before) break;
    ASSERT_GT(client.records.back().result, 0);
    sent += static_cast<size_t>(client.records.back().result);
  }
  EXPECT_LT(sent, bytes.size());
  std::string seen;
  std::string piece(4096, '\0');
  size_t sends = client.count(Event::send);
  // clang 14 does not let a lambda capture a structured binding.
  const int peer_socket = peer.get();
  ASSERT_TRUE(turn_until([&] {
    const ssize_t got = ::read(peer_socket, piece.data(), piece.size());
    if (got > 0) seen.append(piece, 0, static_cast<size_t>(got));
    if (client.count(Event::send) > sends) {
      sends = client.count(Event::send);
      EXPECT_GT(client.records.back().result, 0);
      sent += static_cast<size_t>(client.records.back().result);
      if (sent < bytes.size()) loop_->send(id, bytes.data() + sent, bytes.size() - sent);
    }
    return seen.size() == bytes.size();
  }));
  EXPECT_TRUE(seen == bytes);
  ASSERT_TRUE(
      turn_until([&] { return sent == bytes.size() || client.count(Event::send) > sends; }));
  close_and_wait(id, &client);
}

TEST_P(LoopContract, SendingIntoABrokenPipeIsAnErrorWithoutASignal) {
  Recorder client;
  auto [ours, peer] = stream_pair();
  const SocketId id = loop_->open(ours.release(), &client, 0);
  peer.reset();
  loop_->send(id, "x", 1);
  ASSERT_TRUE(turn_until([&] { return client.count(Event::send) == 1; }));
  EXPECT_EQ(client.first(Event::send).result, -EPIPE);
  close_and_wait(id, &client);
}

TEST_P(LoopContract, BytesStayInTheKernelUntilTheyAreAskedFor) {
  Recorder client;
  auto [ours, peer] = stream_pair();
  const int fd = ours.get();
  const SocketId id = loop_->open(ours.release(), &client, 0);
  write_all(peer.get(), "first");
  turn(milliseconds(5));
  EXPECT_EQ(bytes_unread(fd), 5u);
  loop_->recv(id);
  ASSERT_TRUE(turn_until([&] { return client.count(Event::recv) == 1; }));
  write_all(peer.get(), "second");
  turn(milliseconds(5));
  turn(milliseconds(5));
  EXPECT_EQ(bytes_unread(fd), 6u);
  EXPECT_EQ(client.records.size(), 1u);
  loop_->recv(id);
  ASSERT_TRUE(turn_until([&] { return client.count(Event::recv) == 2; }));
  EXPECT_EQ(client.received(), "firstsecond");
  close_and_wait(id, &client);
}

// --- close ---

TEST_P(LoopContract, CloseWithEverythingOutstandingGivesOneClosedAsTheLast) {
  Recorder client;
  auto [ours, peer] = stream_pair();
  const int fd = ours.get();
  const SocketId id = loop_->open(ours.release(), &client, 3);
  // Fill the pipe, so that the send waits.
  const std::string bytes(1 << 22, 'x');
  for (size_t before = SIZE_MAX; before != client.count(Event::send);) {
    before = client.count(Event::send);
    loop_->send(id, bytes.data(), bytes.size());
    turn(milliseconds(5));
    turn(milliseconds(5));
  }
  loop_->recv(id);
  loop_->poll(id, POLLIN);
  turn(milliseconds(0));
  const size_t before_close = client.records.size();
  loop_->close(id);
  ASSERT_TRUE(turn_until([&] { return client.count(Event::closed) == 1; }));
  turn(milliseconds(5));
  turn(milliseconds(5));
  EXPECT_EQ(client.count(Event::closed), 1u);
  EXPECT_EQ(client.records.back().event, Event::closed);
  EXPECT_EQ(client.records.back().socket, id);
  EXPECT_EQ(client.records.back().context, 3u);
  EXPECT_LE(client.records.size() - before_close, 4u);
  EXPECT_FALSE(fd_is_open(fd));
}

TEST_P(LoopContract, CloseInTheSameTurnAsTheOperationsIsInOrder) {
  Recorder client;
  auto [ours, peer] = stream_pair();
  const SocketId id = loop_->open(ours.release(), &client, 0);
  loop_->recv(id);
  loop_->poll(id, POLLIN);
  loop_->send(id, "bye", 3);
  loop_->close(id);
  loop_->close(id);  // Once more: ignored.
  ASSERT_TRUE(turn_until([&] { return client.count(Event::closed) == 1; }));
  turn(milliseconds(5));
  EXPECT_EQ(client.count(Event::closed), 1u);
  EXPECT_EQ(client.records.back().event, Event::closed);
}

TEST_P(LoopContract, CloseOfAnIdleSocketNeedsNoOtherEvent) {
  Recorder client;
  auto [ours, peer] = stream_pair();
  const SocketId id = loop_->open(ours.release(), &client, 0);
  loop_->close(id);
  EXPECT_EQ(turn(seconds(10)), 1u);
  EXPECT_EQ(client.count(Event::closed), 1u);
  char byte;
  EXPECT_EQ(::read(peer.get(), &byte, 1), 0);
}

TEST_P(LoopContract, AStaleHandleTouchesNobody) {
  Recorder old_client;
  Recorder new_client;
  auto [old_ours, old_peer] = stream_pair();
  const SocketId stale = loop_->open(old_ours.release(), &old_client, 0);
  close_and_wait(stale, &old_client);
  auto [ours, peer] = stream_pair();
  const int fd = ours.get();
  const SocketId id = loop_->open(ours.release(), &new_client, 0);
  ASSERT_EQ(id.index, stale.index) << "the slot is reused, or this test shows nothing";
  ASSERT_NE(id.generation, stale.generation);
  write_all(peer.get(), "x");
  loop_->recv(stale);
  loop_->send(stale, "no", 2);
  loop_->poll(stale, POLLIN);
  loop_->poll_change(stale, POLLOUT);
  loop_->accept(stale, 1);
  loop_->close(stale);
  loop_->recv(SocketId{});
  loop_->close(SocketId{1000, 1000});
  turn(milliseconds(5));
  turn(milliseconds(5));
  EXPECT_TRUE(new_client.records.empty());
  EXPECT_EQ(old_client.records.size(), 1u);
  EXPECT_EQ(bytes_unread(fd), 1u);
  char byte;
  EXPECT_LT(::read(peer.get(), &byte, 1), 0);
  close_and_wait(id, &new_client);
}

TEST_P(LoopContract, AWatchedDescriptorStaysOpenAndCanBeWatchedAgain) {
  auto [ours, peer] = stream_pair();
  for (int round = 0; round < 3; ++round) {
    Recorder client;
    const SocketId id = loop_->watch(ours.get(), &client, 0);
    loop_->poll(id, POLLIN);
    turn(milliseconds(0));
    write_all(peer.get(), "x");
    ASSERT_TRUE(turn_until([&] { return client.count(Event::poll) == 1; }));
    char byte;
    EXPECT_EQ(::read(ours.get(), &byte, 1), 1);
    loop_->poll(id, POLLIN);
    turn(milliseconds(0));
    close_and_wait(id, &client);
    EXPECT_TRUE(fd_is_open(ours.get()));
  }
}

TEST_P(LoopContract, ADestroyedLoopClosesWhatItOwnsOnly) {
  Recorder client;
  auto [owned, peer] = stream_pair();
  const int owned_fd = owned.get();
  const SocketId id = loop_->open(owned.release(), &client, 0);
  loop_->watch(peer.get(), &client, 0);
  loop_->recv(id);
  turn(milliseconds(0));
  loop_.reset();
  EXPECT_FALSE(fd_is_open(owned_fd));
  EXPECT_TRUE(fd_is_open(peer.get()));
}

// --- poll ---

TEST_P(LoopContract, PollTellsReadableOnceAndWritableAtOnce) {
  Recorder client;
  auto [ours, peer] = stream_pair();
  const SocketId id = loop_->watch(ours.get(), &client, 0);
  loop_->poll(id, POLLIN);
  turn(milliseconds(5));
  EXPECT_TRUE(client.records.empty());
  write_all(peer.get(), "x");
  ASSERT_TRUE(turn_until([&] { return client.count(Event::poll) == 1; }));
  EXPECT_EQ(client.records[0].result, POLLIN);
  write_all(peer.get(), "y");
  turn(milliseconds(5));
  turn(milliseconds(5));
  EXPECT_EQ(client.records.size(), 1u) << "one completion per poll";
  loop_->poll(id, POLLIN);  // Still readable: the level counts.
  ASSERT_TRUE(turn_until([&] { return client.count(Event::poll) == 2; }));
  loop_->poll(id, POLLIN | POLLOUT);
  ASSERT_TRUE(turn_until([&] { return client.count(Event::poll) == 3; }));
  EXPECT_EQ(client.records[2].result, POLLIN | POLLOUT);
  close_and_wait(id, &client);
}

// libpq's sockets are watched through duplicates: their open file lives on when one is closed, and
// the next duplicate often has the same number.
TEST_P(LoopContract, AClosedDuplicateLeavesNoTraceForTheNextOneWithItsNumber) {
  auto [ours, peer] = stream_pair();
  for (int round = 0; round < 3; ++round) {
    Recorder client;
    const int duplicate = fcntl(ours.get(), F_DUPFD_CLOEXEC, 0);
    ASSERT_GE(duplicate, 0);
    const SocketId id = loop_->open(duplicate, &client, 0);
    loop_->poll(id, POLLIN);
    turn(milliseconds(5));
    EXPECT_TRUE(client.records.empty()) << "round " << round;
    close_and_wait(id, &client);
  }
}

TEST_P(LoopContract, PollTellsAHangUp) {
  Recorder client;
  auto [ours, peer] = stream_pair();
  const SocketId id = loop_->watch(ours.get(), &client, 0);
  loop_->poll(id, POLLOUT);
  ASSERT_TRUE(turn_until([&] { return client.count(Event::poll) == 1; }));
  loop_->poll(id, POLLIN);
  turn(milliseconds(0));
  peer.reset();
  ASSERT_TRUE(turn_until([&] { return client.count(Event::poll) == 2; }));
  EXPECT_NE(client.records[1].result & POLLHUP, 0);
  close_and_wait(id, &client);
}

TEST_P(LoopContract, PollChangeReplacesTheEventsAndGivesOneCompletion) {
  Recorder client;
  auto [ours, peer] = stream_pair();
  const SocketId id = loop_->watch(ours.get(), &client, 0);
  loop_->poll(id, POLLIN);
  turn(milliseconds(0));
  loop_->poll_change(id, POLLIN);  // The same: nothing happens.
  turn(milliseconds(5));
  EXPECT_TRUE(client.records.empty());
  loop_->poll_change(id, POLLOUT);
  ASSERT_TRUE(turn_until([&] { return client.count(Event::poll) == 1; }));
  EXPECT_EQ(client.records[0].result, POLLOUT);
  loop_->poll_change(id, POLLIN | POLLOUT);  // None outstanding: starts one.
  ASSERT_TRUE(turn_until([&] { return client.count(Event::poll) == 2; }));
  write_all(peer.get(), "x");
  turn(milliseconds(5));
  EXPECT_EQ(client.records.size(), 2u);
  close_and_wait(id, &client);
}

TEST_P(LoopContract, PollChangeBeforeTheTurnLeavesNoTraceOfTheOldEvents) {
  Recorder client;
  auto [ours, peer] = stream_pair();
  const std::string filler(4096, 'x');
  while (::send(ours.get(), filler.data(), filler.size(), MSG_NOSIGNAL) > 0) continue;
  const SocketId id = loop_->watch(ours.get(), &client, 0);
  loop_->poll(id, POLLIN);
  turn(milliseconds(0));
  write_all(peer.get(), "x");       // Now readable, but no longer asked for.
  loop_->poll_change(id, POLLOUT);  // Not writable yet.
  for (int i = 0; i < 3; ++i) turn(milliseconds(5));
  EXPECT_TRUE(client.records.empty());
  std::string piece(1 << 16, '\0');
  while (::read(peer.get(), piece.data(), piece.size()) > 0) continue;
  ASSERT_TRUE(turn_until([&] { return client.count(Event::poll) == 1; }));
  EXPECT_EQ(client.records[0].result, POLLOUT);
  close_and_wait(id, &client);
}

TEST_P(LoopContract, PollAndRecvAndSendOnOneSocketAreIndependent) {
  Recorder client;
  auto [ours, peer] = stream_pair();
  const SocketId id = loop_->open(ours.release(), &client, 0);
  loop_->recv(id);
  loop_->poll(id, POLLOUT);
  loop_->send(id, "abc", 3);
  ASSERT_TRUE(
      turn_until([&] { return client.count(Event::poll) == 1 && client.count(Event::send) == 1; }));
  EXPECT_EQ(client.count(Event::recv), 0u);
  write_all(peer.get(), "xyz");
  ASSERT_TRUE(turn_until([&] { return client.count(Event::recv) == 1; }));
  EXPECT_EQ(client.received(), "xyz");
  close_and_wait(id, &client);
}

}  // namespace
}  // namespace postback::io
