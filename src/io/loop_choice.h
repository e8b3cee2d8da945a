// Which event loop serves: decided once per thread at start, by trying.
#pragma once

#include <memory>
#include <string>

#include "base/settings.h"
#include "base/status.h"
#include "postback/loop.h"

namespace postback::io {

struct LoopChoice {
  std::unique_ptr<Loop> loop;
  std::string engine;  // "io_uring" or "epoll".
  std::string reason;  // One sentence for the log and /info: why this engine.
};

// To be called on the thread that will run the loop; no other may use it.
//
// automatic: io_uring when the very ring the server needs can be had here and completes a no-op,
// else epoll; `reason` then names the step that failed, its errno, the likely cause and the cure.
// io_uring: an error with the same words when it cannot be had.
// epoll: no io_uring system call is made.
base::Result<LoopChoice> make_loop(base::IoEngine wanted);

}  // namespace postback::io
