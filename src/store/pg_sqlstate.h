// What a PostgreSQL error means for us, in one place. SQLSTATE: PostgreSQL manual, appendix A.
// Pure functions.
#pragma once

#include <string_view>

#include "postback/store.h"

namespace postback::store {

// What becomes of a batch that failed with `sqlstate` (five characters; empty: the connection was
// lost). Never pending or committed. What is not known is `unavailable`: it keeps the data.
BatchResult batch_result_of(std::string_view sqlstate);

// Whether the same statements are worth a second try at once, on the same connection: the server
// chose us as the victim of a deadlock or a serialization failure.
bool is_worth_repeating(std::string_view sqlstate);

// Whether a prepared statement of ours is gone, or was there before we prepared it: the connection
// to the server is not the one on which it was prepared.
bool is_of_a_pooler(std::string_view sqlstate);

inline constexpr std::string_view kUniqueViolation = "23505";
inline constexpr std::string_view kUndefinedDatabase = "3D000";
// The answers to CREATE DATABASE when another process was quicker.
bool is_database_made_meanwhile(std::string_view sqlstate);

}  // namespace postback::store
