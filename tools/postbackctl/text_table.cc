#include "text_table.h"

#include <algorithm>
#include <cstdint>

#include "base/check.h"
#include "base/printable.h"
#include "base/utf8.h"

namespace postback::postbackctl {
namespace {

struct Range {
  uint32_t first;
  uint32_t last;
};

// East_Asian_Width W and F (UAX 11), neighbouring blocks joined.
constexpr Range kWide[] = {
    {0x1100, 0x115F},   {0x2E80, 0x303E},   {0x3041, 0xA4CF},   {0xA960, 0xA97F},
    {0xAC00, 0xD7A3},   {0xF900, 0xFAFF},   {0xFE30, 0xFE6F},   {0xFF00, 0xFF60},
    {0xFFE0, 0xFFE6},   {0x1F300, 0x1F64F}, {0x1F680, 0x1F6FF}, {0x1F900, 0x1F9FF},
    {0x1FA70, 0x1FAFF}, {0x20000, 0x3FFFD},
};

// General_Category Mn and Cf, those that stand in names.
constexpr Range kZero[] = {
    {0x0300, 0x036F}, {0x0E31, 0x0E31}, {0x0E34, 0x0E3A}, {0x0E47, 0x0E4E}, {0x1AB0, 0x1AFF},
    {0x1DC0, 0x1DFF}, {0x200B, 0x200D}, {0x20D0, 0x20FF}, {0xFE00, 0xFE0F}, {0xFE20, 0xFE2F},
};

template <size_t size>
bool is_in(const Range (&ranges)[size], uint32_t code) {
  return std::any_of(std::begin(ranges), std::end(ranges), [code](const Range& range) {
    return code >= range.first && code <= range.last;
  });
}

}  // namespace

size_t display_width(std::string_view text) {
  size_t width = 0;
  while (!text.empty()) {
    size_t invalid_size = 0;
    const size_t size = base::utf8_sequence_size(text, &invalid_size);
    const uint32_t code = size == 0 ? '?' : base::utf8_code_point(text.substr(0, size));
    if (!is_in(kZero, code)) width += is_in(kWide, code) ? 2 : 1;
    text.remove_prefix(size == 0 ? invalid_size : size);
  }
  return width;
}

void TextTable::add(const std::vector<std::string>& cells) {
  CHECK(cells.size() == rows_[0].size());
  std::vector<std::string> row;
  for (const std::string& cell : cells) row.push_back(base::printable(cell, 1000));
  rows_.push_back(std::move(row));
}

std::string TextTable::text() const {
  std::vector<size_t> widths(rows_[0].size());
  for (const auto& row : rows_) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], display_width(row[i]));
  }
  std::string text;
  for (const auto& row : rows_) {
    std::string line;
    size_t gap = 0;  // Owed before the next cell that is not empty.
    for (size_t i = 0; i < row.size(); ++i) {
      if (!row[i].empty()) {
        line.append(gap, ' ');
        line += row[i];
        gap = 0;
      }
      gap += widths[i] - display_width(row[i]) + 2;
    }
    text += line + "\n";
  }
  return text;
}

}  // namespace postback::postbackctl
