// A proxy between a client and a server on 127.0.0.1 that can lose what passes: for tests of
// answers that never arrive. Runs a thread of its own.
//
// Thread: any.
#pragma once

#include <atomic>
#include <thread>

namespace postback::test {

class TcpProxy {
 public:
  explicit TcpProxy(int server_port);
  ~TcpProxy();
  TcpProxy(const TcpProxy&) = delete;
  TcpProxy& operator=(const TcpProxy&) = delete;

  int port() const { return port_; }
  // From now on the server's answers are thrown away; the client's requests still pass.
  void swallow_answers() { swallowing_ = true; }
  // Resets every connection and lets answers through again on new ones.
  void reset_connections();
  long swallowed_bytes() const { return swallowed_bytes_; }

 private:
  void run();

  const int server_port_;
  int port_ = 0;
  int listener_ = -1;
  int stop_pipe_[2] = {-1, -1};
  std::atomic<bool> swallowing_{false};
  std::atomic<bool> resetting_{false};
  std::atomic<long> swallowed_bytes_{0};
  std::thread thread_;
};

}  // namespace postback::test
