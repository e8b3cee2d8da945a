// The postbacks of a run. Everything about one follows from its number, so that what is stored can
// be checked without a record of what was sent. One thread.
#pragma once

#include <cstdint>
#include <string>

#include "load/options.h"

namespace postback::load {

class Requests {
 public:
  // `options` outlives this.
  explicit Requests(const Options& options);

  // The number of the postback that is sent as the index-th: the index itself, or, for every
  // repeat_every-th, the number of one that was sent kRepeatDistance earlier and was no repeat.
  uint64_t number_of(uint64_t index) const;

  std::string id_of(uint64_t number) const;

  // Replaces `bytes` with the whole HTTP request.
  void write(uint64_t number, std::string* bytes) const;

 private:
  static constexpr uint64_t kRepeatDistance = 1000;

  const Options& options_;
  uint64_t repeat_distance_;
  std::string rest_of_head_;  // From behind the target to the headers' end, of a GET.
};

}  // namespace postback::load
