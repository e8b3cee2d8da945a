#include "store/pg_facts.h"

#include <cstdlib>
#include <cstring>
#include <string_view>

namespace postback::store {

void take_pg_facts(const PGresult* result, PgFacts* facts) {
  if (PQntuples(result) != 1) return;
  constexpr int kHexadecimal = 16;
  for (int column = 0; column < PQnfields(result); ++column) {
    const std::string_view name = PQfname(result, column);
    const bool is_null = PQgetisnull(result, 0, column) == 1;
    const char* value = PQgetvalue(result, 0, column);
    if (name == "version") {
      facts->version = std::atoi(value);
    } else if (name == "index_fits") {
      facts->index = is_null           ? PgFacts::Index::missing
                     : value[0] == 't' ? PgFacts::Index::right
                                       : PgFacts::Index::wrong;
    } else if (name == "incarnation") {
      facts->identity.incarnation = value;
    } else if (name == "system_identifier") {
      facts->identity.system_identifier = value;
    } else if (name == "timeline") {
      facts->identity.timeline = static_cast<uint32_t>(std::strtoul(value, nullptr, kHexadecimal));
    } else if (name == "waits_for_standby") {
      facts->standby = is_null           ? StandbyWait::unknown
                       : value[0] == 't' ? StandbyWait::yes
                                         : StandbyWait::no;
    }
  }
}

std::string pg_index_error(const PgFacts& facts) {
  if (facts.index == PgFacts::Index::right) return {};
  return std::string("the unique index partner_conversions_once is ") +
         (facts.index == PgFacts::Index::missing ? "missing" : "not as it should be") +
         ", repeats would be stored twice; drop what is there of it, remove double rows and run: "
         "CREATE UNIQUE INDEX partner_conversions_once ON partner_conversions "
         "(conversion_id, partner_id) WHERE NOT is_duplicate";
}

}  // namespace postback::store
