// Layouts of queries that came before. A partner sends the same names in the same order again and
// again; only values differ. Such a query is recognised by comparing its names where they must
// stand, and everything that follows from the names alone is there already: which name is whose,
// which value counts for which column, and the text of raw_data between the values.
//
// A query has a known layout when it is, byte for byte, the same names with '=' behind them and '&'
// between, around values that say what they say as they stand: printable ASCII without '&', '%' and
// '+' (nothing to decode) and without '"' and '\' (nothing to escape in JSON). A layout is learned
// only from names that are all different, and of which no two stand for one entry of the mapping:
// then no value is compared with another, and what the ParameterTable finds depends on names only.
//
// Bounded: kSlots layouts, found by their mapping. One that is there stays until kMissesMax queries
// of that slot in a row had other layouts. No allocation in steady state.
//
// Owner: the reader. Layouts keep their mappings alive, so that an address means one mapping.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/text_buffer.h"
#include "conversion/mapping.h"
#include "conversion/parameter_table.h"
#include "conversion/raw_data.h"
#include "postback/parameter.h"

namespace postback::conversion {

class QueryLayout {
 public:
  // Whether the query has this layout; then table() and append_raw_data() tell of it, as long as
  // its bytes exist.
  bool match(std::string_view query);
  const ParameterTable& table() const { return table_; }
  // What RawDataWriter would append for table().
  void append_raw_data(base::TextBuffer* out) const;

 private:
  friend class KnownLayouts;
  struct Piece {
    uint32_t start = 0;  // In `text_`.
    uint32_t size = 0;
  };

  // Becomes the layout of `query`, whose parameters are `parameters`; false when it has none.
  bool become(const Mapping& mapping, std::string_view query,
              std::span<const Parameter> parameters);
  bool depends_on_names_only(const Mapping::Impl& mapping) const;

  std::shared_ptr<const Mapping> mapping_;  // Null: no layout.
  std::string text_;                        // All pieces: "name=", then "&name=".
  std::vector<Piece> pieces_;
  std::vector<Parameter> parameters_;  // Names in text_; no values.
  ParameterTable table_;
  base::TextBuffer json_;                     // raw_data with empty values.
  std::vector<RawDataWriter::Place> places_;  // Where in json_ which value belongs.
};

class KnownLayouts {
 public:
  // The layout that this query has, or null when it is not known. Valid until the next call.
  QueryLayout* find(const Mapping& mapping, std::string_view query);
  // `parameters`: what the query consists of, all of it.
  void learn(const Mapping& mapping, std::string_view query, std::span<const Parameter> parameters);

 private:
  static constexpr size_t kSlots = 256;
  static constexpr int kMissesMax = 8;
  struct Slot {
    std::unique_ptr<QueryLayout> layout;
    int misses = 0;  // Since the last query that had it.
  };
  Slot& slot_of(const Mapping& mapping);

  std::array<Slot, kSlots> slots_;
};

}  // namespace postback::conversion
