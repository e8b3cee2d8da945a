// Why /health says `degraded`: stable words, which a monitor may compare. A word names the kind of
// trouble; the rest of the answer, and the log, tell the details.
//
// Adding one: a line in the table of health_reasons.cc, and a line in the READMEs.
#pragma once

#include <string_view>
#include <vector>

#include "server/survey.h"

namespace postback::server {

// In the table's order; empty: nothing is wrong.
std::vector<std::string_view> health_reasons(const Survey& survey, const ProcessReport& process);

bool is_bad(StoreState state);
// A database is away or its oldest batch is late.
bool is_database_away(const Survey& survey);
// This machine's clock, or that of a partner's database server, is not believed.
bool is_clock_doubted(const ProcessReport& process);
// There is a journal, and it takes nothing now.
bool is_journal_refusing(const ProcessReport& process);

}  // namespace postback::server
