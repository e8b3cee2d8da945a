// The server: one thread per core, the registry, starting and stopping. Thread: main.
#pragma once

#include <memory>

#include "base/settings.h"
#include "base/status.h"

namespace postback::server {

class Server {
 public:
  explicit Server(const base::Settings& settings);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Listens, starts the cores and the registry, and waits until postbacks can be taken: the cores
  // route by a partner table, and the journal is ready. Clients that connect meanwhile wait in the
  // kernel's queue. With neither control database nor cached partners, or with a disk that hangs,
  // it waits for a few seconds only, so that /health can say so. On failure nothing is left
  // running.
  base::Status start();
  // Accepts: after start().
  void serve();
  // Goes on serving, but is not ready any more and sends its clients away.
  void leave();
  // Looks for changed partners now (SIGHUP).
  void reload();
  // Stops accepting, answers what was accepted, closes the databases. Within 8 s; false when a
  // database did not close within its time (the process should end at once then).
  bool stop();
  int port() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace postback::server
