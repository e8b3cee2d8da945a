// The life of the process, as its cores see it. A stage is told to every core by a message; which
// stage may follow which stands in may_follow() and is asserted at every move.
#pragma once

#include <cstdint>

#include "postback/message.h"

namespace postback::server {

enum class Stage : uint8_t {
  starting,  // Clients connect, and wait in the kernel's queue until postbacks can be taken.
  serving,   // Accepts and serves.
  leaving,   // A stop was asked for: accepts and serves, but tells every client, and whoever asks
             // for /readyz, to go elsewhere (LAME_DUCK_S).
  draining,  // Accepts no more; finishes what was accepted.
  closing,   // The lanes close.
};

//   starting → serving → leaving → draining → closing
// A stop during the start ends the process before anything is served; without LAME_DUCK_S there is
// no leaving.
constexpr bool may_follow(Stage before, Stage next) {
  switch (next) {
    case Stage::starting:
      return false;
    case Stage::serving:
      return before == Stage::starting;
    case Stage::leaving:
      return before == Stage::serving;
    case Stage::draining:
      return before == Stage::serving || before == Stage::leaving || before == Stage::starting;
    case Stage::closing:
      return before == Stage::draining;
  }
  return false;
}

struct StageStep : Message {
  Stage stage = Stage::starting;
};

}  // namespace postback::server
