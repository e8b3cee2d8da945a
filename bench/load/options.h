// The command line of offered_load.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"

namespace postback::load {

struct Options {
  std::string host;                // A name or an address.
  uint16_t port = 80;              // The same for every URL.
  std::vector<std::string> paths;  // Request i goes to the path of its number, in turn.
  double rate = 0;                 // Postbacks per second over all connections.
  double seconds = 10;
  int connections = 64;
  std::string prefix = "load";  // Ids are PREFIX-NUMBER.
  uint64_t repeat_every = 0;    // 0: never, or 2 and more: see Requests.
  bool post_json = false;
  bool close = false;       // A new connection for each postback.
  int timeout_ms = 10'000;  // From sending to the complete answer; also how long the end waits.
  std::string ids_file;
  std::string csv_file;
  bool quiet = false;
  bool help = false;
};

extern const char kUsage[];

base::Result<Options> parse_options(int count, char** words);

}  // namespace postback::load
