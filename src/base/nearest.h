// "Did you mean": the known names closest to a mistyped one. Pure functions for cold paths.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace postback::base {

// Edits (insert, delete, replace, swap of neighbours) that turn `a` into `b`, case ignored.
size_t edit_distance(std::string_view a, std::string_view b);

// Up to `count_max` of `candidates`, nearest first, no further away than a third of the name's
// length (at least 2). Empty when nothing is near.
std::vector<std::string> nearest_names(std::string_view name,
                                       const std::vector<std::string>& candidates,
                                       size_t count_max = 3);

// "; did you mean A, B or C?", or empty when nothing is near. To be appended to an error message.
std::string did_you_mean(std::string_view name, const std::vector<std::string>& candidates);

}  // namespace postback::base
