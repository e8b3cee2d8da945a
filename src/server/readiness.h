// Whether postbacks can be taken: `ready` of /health, and /readyz. A pure function over what the
// cores reported.
#pragma once

#include "server/survey.h"

namespace postback::server {

struct Readiness {
  // Every postback of a known partner is taken: by its database, or by the journal.
  bool takes_all = false;
  // Those of one partner at least are. A balancer goes by this: another server behind it has the
  // same databases, and taking this one away would only hurt the other partners.
  bool takes_some = false;
  const char* reason = "";  // Why nothing is taken.
};

Readiness judge_readiness(const Survey& survey, const ProcessReport& process);

}  // namespace postback::server
