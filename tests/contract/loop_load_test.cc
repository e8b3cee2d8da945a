// The contract of postback/loop.h at its limits: no descriptors left, no buffers left, many
// sockets at once; over both backends.
#include <fcntl.h>
#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <random>

#include "io/listener.h"
#include "loop_fixture.h"

namespace postback::io {
namespace {

// Lets the process open no further descriptor while it lives. Only for the time of a turn: the
// undefined-behaviour sanitizer wants descriptors for its own checks in between.
class NoDescriptors {
 public:
  NoDescriptors() {
    EXPECT_EQ(getrlimit(RLIMIT_NOFILE, &before_), 0);
    const Fd lowest_free(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    EXPECT_GE(lowest_free.get(), 0);
    rlimit limit = before_;
    limit.rlim_cur = static_cast<rlim_t>(lowest_free.get());
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
  }
  ~NoDescriptors() { EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &before_), 0); }

 private:
  rlimit before_{};
};

void turn_without_descriptors(Loop* loop) {
  std::span<const Completion> completions;
  {
    const NoDescriptors none;
    completions = loop->turn(milliseconds(100));
  }
  for (const Completion& completion : completions) completion.client->complete(completion);
}

TEST_P(LoopContract, WithoutDescriptorsAcceptBacksOffServesOthersAndRecovers) {
  Recorder acceptor;
  Recorder client;
  const int listening = listen_tcp("127.0.0.1", 0, false).take();
  auto [ours, peer] = stream_pair();
  const SocketId id = loop_->open(ours.release(), &client, 0);
  const SocketId listener = loop_->open(listening, &acceptor, 0);
  std::vector<Fd> waiting;
  for (int i = 0; i < 5; ++i) waiting.push_back(tcp_connect(bound_port(listening)));
  turn(milliseconds(0));
  loop_->accept(listener, kManyAccepts);
  loop_->recv(id);
  size_t turns = 0;
  size_t echoed = 0;
  const auto end = std::chrono::steady_clock::now() + milliseconds(450);
  while (std::chrono::steady_clock::now() < end) {
    if (turns % 4 == 0) write_all(peer.get(), "x");
    turn_without_descriptors(loop_.get());
    ++turns;
    if (client.count(Event::recv) > echoed) {
      echoed = client.count(Event::recv);
      loop_->recv(id);
    }
  }
  EXPECT_GT(echoed, 0u) << "connections are served meanwhile";
  for (const Record& record : acceptor.records) EXPECT_EQ(record.result, -EMFILE);
  EXPECT_GE(acceptor.records.size(), 2u) << "it tried again";
  EXPECT_LE(acceptor.records.size(), 6u) << "told once per back-off of 100 ms";
  EXPECT_LE(turns, 40u) << "and the loop does not spin";
  auto accepted = [&] {
    return std::count_if(acceptor.records.begin(), acceptor.records.end(),
                         [](const Record& record) { return record.result >= 0; });
  };
  ASSERT_TRUE(turn_until([&] { return accepted() == 5; }));
  for (const Record& record : acceptor.records) {
    if (record.result >= 0) ::close(record.result);
  }
  close_and_wait(listener, &acceptor);
  close_and_wait(id, &client);
}

TEST_P(LoopContract, AListenerCanBeClosedDuringItsBackOff) {
  Recorder acceptor;
  const int listening = listen_tcp("127.0.0.1", 0, false).take();
  const SocketId listener = loop_->open(listening, &acceptor, 0);
  const Fd waiting = tcp_connect(bound_port(listening));
  turn(milliseconds(0));
  loop_->accept(listener, kManyAccepts);
  for (int i = 0; i < 100 && acceptor.records.empty(); ++i) turn_without_descriptors(loop_.get());
  ASSERT_EQ(acceptor.records.size(), 1u);
  EXPECT_EQ(acceptor.records[0].result, -EMFILE);
  close_and_wait(listener, &acceptor);
  EXPECT_EQ(turn(milliseconds(150)), 0u) << "nothing comes after `closed`";
  ASSERT_EQ(acceptor.count(Event::accept), 2u) << "what waited is handed out";
  ::close(acceptor.records[1].result);
}

// More sockets hold bytes than there are buffers: each of them gets all its bytes, in turns.
TEST_P(LoopContract, WithoutBuffersRecvWaitsAndLosesNothing) {
  constexpr size_t kSockets = 600;
  raise_open_files();
  const size_t bytes_each = 2 * GetParam().recv_bytes_max;
  std::vector<Recorder> clients(kSockets);
  std::vector<SocketId> ids;
  std::vector<Fd> peers;
  for (size_t i = 0; i < kSockets; ++i) {
    auto [ours, peer] = stream_pair();
    ids.push_back(loop_->open(ours.release(), &clients[i], i));
    std::string bytes(bytes_each, '\0');
    for (size_t n = 0; n < bytes.size(); ++n) bytes[n] = static_cast<char>(i + n / 3);
    write_all(peer.get(), bytes);
    loop_->recv(ids[i]);
    peers.push_back(std::move(peer));
  }
  size_t finished = 0;
  size_t turns_without = 0;
  while (finished < kSockets && turns_without < 100) {
    const auto completions = loop_->turn(seconds(10));
    ASSERT_LE(completions.size(), GetParam().recvs_per_turn_max);
    turns_without = completions.empty() ? turns_without + 1 : 0;
    for (const Completion& completion : completions) {
      ASSERT_EQ(completion.event, Event::recv);
      ASSERT_GT(completion.result, 0) << "want of buffers never reaches the client";
      const size_t i = completion.context;
      size_t offset = 0;
      for (const Record& record : clients[i].records) offset += record.data.size();
      completion.client->complete(completion);
      const std::string& data = clients[i].records.back().data;
      for (size_t n = 0; n < data.size(); ++n) {
        ASSERT_EQ(data[n], static_cast<char>(i + (offset + n) / 3));
      }
      if (offset + data.size() == bytes_each) {
        ++finished;
      } else {
        loop_->recv(completion.socket);
      }
    }
  }
  EXPECT_EQ(finished, kSockets);
}

// A socket that waits for a buffer may be closed, and its neighbours still get theirs.
TEST_P(LoopContract, ASocketThatWaitsForABufferCanBeClosed) {
  const size_t sockets = 2 * GetParam().recvs_per_turn_max + 1;
  raise_open_files();
  std::vector<Recorder> clients(sockets);
  std::vector<SocketId> ids;
  std::vector<Fd> peers;
  const std::string bytes(GetParam().recv_bytes_max, 'x');
  for (size_t i = 0; i < sockets; ++i) {
    auto [ours, peer] = stream_pair();
    ids.push_back(loop_->open(ours.release(), &clients[i], i));
    write_all(peer.get(), bytes);
    loop_->recv(ids[i]);
    peers.push_back(std::move(peer));
  }
  turn(seconds(10));
  for (size_t i = 0; i < sockets; i += 2) loop_->close(ids[i]);
  ASSERT_TRUE(turn_until([&] {
    for (size_t i = 0; i < sockets; ++i) {
      if (clients[i].count(i % 2 == 0 ? Event::closed : Event::recv) != 1) return false;
    }
    return true;
  }));
  for (size_t i = 1; i < sockets; i += 2) {
    EXPECT_EQ(clients[i].received().size(), GetParam().recv_bytes_max);
  }
}

// Closing thousands of sockets in one turn asks for more cancels than any queue holds.
TEST_P(LoopContract, ManyClosesInOneTurnAllEnd) {
  const size_t sockets = std::min<size_t>(3000, (raise_open_files() - 200) / 2);
  Recorder client;
  std::vector<Fd> peers;
  std::vector<SocketId> ids;
  for (size_t i = 0; i < sockets; ++i) {
    auto [ours, peer] = stream_pair();
    ids.push_back(loop_->open(ours.release(), &client, i));
    loop_->recv(ids[i]);
    peers.push_back(std::move(peer));
  }
  turn(milliseconds(0));
  for (const SocketId id : ids) loop_->close(id);
  ASSERT_TRUE(turn_until([&] { return client.records.size() >= sockets; }));
  turn(milliseconds(5));
  EXPECT_EQ(client.count(Event::closed), sockets);
  EXPECT_EQ(client.records.size(), sockets);
}

// --- soak ---

// Byte `offset` of stream `stream`.
char byte_at(uint64_t stream, uint64_t offset) {
  const uint64_t mixed = (stream * 0x9E3779B97F4A7C15u) ^ ((offset / 8) * 0xC2B2AE3D27D4EB4Fu);
  return static_cast<char>(mixed >> (8 * (offset % 8)));
}

// Sends back what it receives.
class Echo final : public LoopClient {
 public:
  Echo(Loop* loop, int fd) : loop_(loop), id_(loop->open(fd, this, 0)) { loop_->recv(id_); }
  void complete(const Completion& completion) override {
    switch (completion.event) {
      case Event::recv:
        if (completion.result <= 0) {
          EXPECT_EQ(completion.result, 0);
          loop_->close(id_);
          break;
        }
        pending_.assign(completion.data, static_cast<size_t>(completion.result));
        loop_->send(id_, pending_.data(), pending_.size());
        break;
      case Event::send:
        ASSERT_GT(completion.result, 0);
        pending_.erase(0, static_cast<size_t>(completion.result));
        if (pending_.empty()) {
          loop_->recv(id_);
        } else {
          loop_->send(id_, pending_.data(), pending_.size());
        }
        break;
      case Event::closed:
        EXPECT_FALSE(closed) << "closed twice";
        closed = true;
        break;
      default:
        ADD_FAILURE() << "unexpected event";
    }
  }
  bool closed = false;

 private:
  Loop* loop_;
  SocketId id_;
  std::string pending_;
};

// Sends a stream in pieces of random size, and checks that it comes back.
class Sender final : public LoopClient {
 public:
  Sender(Loop* loop, int fd, uint64_t stream, std::mt19937_64* random)
      : loop_(loop),
        random_(random),
        stream_(stream),
        bytes_((*random)() % 40'000 + 1),
        id_(loop->open(fd, this, stream)) {
    send_piece();
    loop_->recv(id_);
  }
  void complete(const Completion& completion) override {
    switch (completion.event) {
      case Event::recv:
        ASSERT_GT(completion.result, 0);
        for (int32_t i = 0; i < completion.result; ++i) {
          ASSERT_EQ(completion.data[i], byte_at(stream_, received_ + static_cast<uint64_t>(i)));
        }
        received_ += static_cast<uint64_t>(completion.result);
        received_ == bytes_ ? loop_->close(id_) : loop_->recv(id_);
        break;
      case Event::send:
        if (received_ == bytes_) break;  // Closing.
        ASSERT_GT(completion.result, 0);
        sent_ += static_cast<uint64_t>(completion.result);
        if (sent_ < bytes_) send_piece();
        break;
      case Event::closed:
        EXPECT_FALSE(closed) << "closed twice";
        closed = true;
        break;
      default:
        ADD_FAILURE() << "unexpected event";
    }
  }
  bool closed = false;

 private:
  void send_piece() {
    piece_.resize(std::min<uint64_t>((*random_)() % 9000 + 1, bytes_ - sent_));
    for (size_t i = 0; i < piece_.size(); ++i) piece_[i] = byte_at(stream_, sent_ + i);
    loop_->send(id_, piece_.data(), piece_.size());
  }

  Loop* loop_;
  std::mt19937_64* random_;
  uint64_t stream_;
  uint64_t bytes_;
  SocketId id_;
  uint64_t sent_ = 0;
  uint64_t received_ = 0;
  std::string piece_;
};

TEST_P(LoopContract, TwoThousandSocketsEchoWithoutALostOrWrongByte) {
  std::mt19937_64 random(random_seed());
  // The tiny engines take four recvs per turn, each after a look at all events.
  const size_t wanted = GetParam().recvs_per_turn_max < 16 ? 300 : 2000;
  const size_t sockets = std::min<size_t>(wanted, (raise_open_files() - 200) / 2);
  std::vector<std::unique_ptr<Echo>> echoes;
  std::vector<std::unique_ptr<Sender>> senders;
  for (size_t i = 0; i < sockets; ++i) {
    auto [server, client] = stream_pair();
    echoes.push_back(std::make_unique<Echo>(loop_.get(), server.release()));
    senders.push_back(std::make_unique<Sender>(loop_.get(), client.release(), i, &random));
  }
  auto all_closed = [&] {
    return std::all_of(senders.begin(), senders.end(), [](auto& each) { return each->closed; }) &&
           std::all_of(echoes.begin(), echoes.end(), [](auto& each) { return each->closed; });
  };
  EXPECT_TRUE(turn_until(all_closed, seconds(120)));
  EXPECT_EQ(turn(milliseconds(5)), 0u);
}

}  // namespace
}  // namespace postback::io
