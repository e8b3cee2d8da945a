#include "store/pg_sqlstate.h"

namespace postback::store {

BatchResult batch_result_of(std::string_view sqlstate) {
  if (is_of_a_pooler(sqlstate)) return BatchResult::unavailable;
  const std::string_view state_class = sqlstate.substr(0, 2);
  // 22 data exception, 23 integrity constraint, 54 program limit (an index row too large), P0 a
  // trigger's RAISE: some value is at fault.
  if (state_class == "22" || state_class == "23" || state_class == "54" || state_class == "P0") {
    return BatchResult::rejected;
  }
  // 42 undefined table or column, wrong type, no privilege; 3F no such schema; 0A a cached plan
  // whose result type changed, which is a column's type changed under us; 44 a view's check.
  if (state_class == "42" || state_class == "3F" || state_class == "0A" || state_class == "44") {
    return BatchResult::schema;
  }
  // 08 connection, 53 resources (disk full, too many connections), 57 operator (shutdown, crash
  // recovery, cancel), 40 rollback, 55 lock or state, 58 input/output of the server, XX internal,
  // 25006 read-only, 28 and 3D refused login.
  return BatchResult::unavailable;
}

bool is_worth_repeating(std::string_view sqlstate) {
  return sqlstate == "40001" || sqlstate == "40P01";
}

bool is_of_a_pooler(std::string_view sqlstate) {
  return sqlstate == "26000" || sqlstate == "42P05";
}

bool is_database_made_meanwhile(std::string_view sqlstate) {
  return sqlstate == "42P04" || sqlstate == kUniqueViolation;
}

}  // namespace postback::store
