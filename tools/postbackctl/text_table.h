// Tables for people: columns aligned by what a terminal shows, not by bytes. Pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace postback::postbackctl {

// Columns that a terminal needs for `text` (valid UTF-8 without control characters): East Asian
// wide characters and emoji take two, combining ones none (Unicode Standard Annex 11).
size_t display_width(std::string_view text);

class TextTable {
 public:
  explicit TextTable(std::vector<std::string> header) : rows_{std::move(header)} {}
  // As many cells as the header has. Cells are made printable.
  void add(const std::vector<std::string>& cells);
  // Header and rows; two spaces between columns, none at the end of a line.
  std::string text() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace postback::postbackctl
