// One reading of the journal for the partners that can take their records now. Owner and thread:
// the drain.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "ingest/drain.h"
#include "ingest/drain_part.h"
#include "journal/reader.h"

namespace postback::ingest {

class DrainPass {
 public:
  DrainPass(Drain* drain, std::shared_ptr<const partner::PartnerTable> table);

  // Reads to the end, until it is stopped, or until a partner that has no part in it waits; then
  // waits for what is out, but not for partners that are stuck: they are handed to the drain.
  void run();

 private:
  void add_parts();
  base::Result<journal::ReaderOptions> reader_options() const;
  bool read_all();
  bool others_wait() const;
  std::vector<Source> sources_of(const Partner& partner) const;
  bool is_away(const Partner& partner) const;
  void take(const journal::Reader& reader);
  bool make_room(DrainPart* part);
  void send(DrainPart* part, uint32_t slice);
  void send_all(DrainPart* part);
  template <typename Condition>
  bool wait_for(DrainPart* part, Condition is_ready);
  void wait_for_all();
  void leave_stuck();
  void end(std::unique_ptr<DrainPart> part, bool read_to_end);

  Drain* const drain_;
  const std::shared_ptr<const partner::PartnerTable> table_;
  const uint64_t began_ns_;
  uint64_t last_lsn_ = 0;  // The newest record of this pass.
  std::map<int32_t, std::unique_ptr<DrainPart>> parts_;
  struct Route {
    DrainPart* part;
    journal::Position limit;
  };
  std::map<journal::Owner, Route> routes_;
};

}  // namespace postback::ingest
