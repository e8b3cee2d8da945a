#include "conversion/known_layouts.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/byte_window.h"
#include "conversion/mapping_impl.h"

namespace postback::conversion {
namespace {

using base::ByteWindow;

constexpr size_t kNone = std::string_view::npos;

template <typename Word>
bool same_word(const char* a, const char* b) {
  Word words[2];
  std::memcpy(&words[0], a, sizeof(Word));
  std::memcpy(&words[1], b, sizeof(Word));
  return words[0] == words[1];
}

// For names, which are short: compared as two words that overlap.
bool same_bytes(const char* a, const char* b, size_t size) {
  if (size > 2 * sizeof(uint64_t)) return std::memcmp(a, b, size) == 0;
  if (size >= sizeof(uint64_t)) {
    const size_t last = size - sizeof(uint64_t);
    return same_word<uint64_t>(a, b) && same_word<uint64_t>(a + last, b + last);
  }
  if (size >= sizeof(uint32_t)) {
    const size_t last = size - sizeof(uint32_t);
    return same_word<uint32_t>(a, b) && same_word<uint32_t>(a + last, b + last);
  }
  return std::memcmp(a, b, size) == 0;
}

// The end of the value at `start`: the position of its '&', or the end of the query. kNone when
// there is something to decode or to escape in it.
size_t value_end(std::string_view query, size_t start) {
  for (size_t position = start;; position += ByteWindow::kBytes) {
    const ByteWindow window(query.data() + position, query.size() - position);
    const uint32_t found = window.equal('&', '%') | window.equal('+', '"') |
                           window.equal('\\', '\x7f') | window.not_printable();
    if (found == 0) continue;
    // NUL bytes behind the query are found too.
    const size_t end = position + static_cast<size_t>(std::countr_zero(found));
    if (end < query.size()) return query[end] == '&' ? end : kNone;
    return query.size();
  }
}

}  // namespace

bool QueryLayout::match(std::string_view query) {
  size_t position = 0;
  int index = 0;
  for (const Piece& piece : pieces_) {
    if (query.size() - position < piece.size) return false;
    if (!same_bytes(query.data() + position, text_.data() + piece.start, piece.size)) return false;
    const size_t start = position + piece.size;
    position = value_end(query, start);
    if (position == kNone || position - start > kParameterBytesMax) return false;
    table_.set_value(index++, {query.data() + start, position - start});
  }
  return position == query.size();
}

void QueryLayout::append_raw_data(base::TextBuffer* out) const {
  size_t bytes = json_.size();
  for (const RawDataWriter::Place& place : places_) {
    bytes += table_.item(place.item).parameter.value.size();
  }
  char* to = out->open(bytes);
  const char* from = json_.view().data();
  size_t position = 0;
  for (const RawDataWriter::Place& place : places_) {
    to = base::put_short(to, {from + position, place.position - position});
    to = base::put_short(to, table_.item(place.item).parameter.value);
    position = place.position;
  }
  out->close(base::put_short(to, {from + position, json_.size() - position}));
}

bool QueryLayout::become(const Mapping& mapping, std::string_view query,
                         std::span<const Parameter> parameters) {
  mapping_.reset();
  text_.clear();
  pieces_.clear();
  parameters_.clear();
  for (const Parameter& parameter : parameters) {
    const auto start = static_cast<uint32_t>(text_.size());
    if (start != 0) text_.push_back('&');
    text_.append(parameter.name).push_back('=');
    pieces_.push_back({start, static_cast<uint32_t>(text_.size()) - start});
  }
  for (const Piece& piece : pieces_) {
    const size_t separator = piece.start == 0 ? 0 : 1;
    Parameter& parameter = parameters_.emplace_back();
    parameter.name = std::string_view(text_).substr(piece.start + separator);
    parameter.name.remove_suffix(text_.size() - piece.start - piece.size + 1);
    parameter.is_ascii = true;
  }
  Notes notes;
  const Mapping::Impl& compiled = mapping.impl();
  table_.build(compiled, parameters_, &notes);
  if (!depends_on_names_only(compiled)) return false;
  // Also a proof that no name had to be decoded: it stands in the query as it is.
  if (!match(query)) return false;
  for (size_t i = 0; i < parameters.size(); ++i) {
    const Parameter& parameter = parameters[i];
    if (!parameter.is_ascii || parameter.source != Parameter::Source::query ||
        table_.item(static_cast<int>(i)).parameter.value != parameter.value) {
      return false;
    }
    table_.set_value(static_cast<int>(i), {});
  }
  json_.clear(0);
  places_.clear();
  RawDataWriter().append_raw_data(compiled, table_, &json_, &places_);
  mapping_ = mapping.weak_from_this().lock();
  return mapping_ != nullptr;
}

bool QueryLayout::depends_on_names_only(const Mapping::Impl& mapping) const {
  const bool names_differ =
      std::all_of(table_.items().begin(), table_.items().end(),
                  [](const ParameterTable::Item& item) { return item.first; });
  return names_differ &&
         std::none_of(mapping.entries.begin(), mapping.entries.end(),
                      [this](const Mapping::Impl::Entry& entry) {
                        return entry.name != entry.partner_name &&
                               table_.first_of(entry.name) != ParameterTable::kNone &&
                               table_.first_of(entry.partner_name) != ParameterTable::kNone;
                      });
}

KnownLayouts::Slot& KnownLayouts::slot_of(const Mapping& mapping) {
  constexpr uint64_t kOdd = 0x9E3779B97F4A7C15;
  static_assert(std::has_single_bit(kSlots));
  return slots_[(reinterpret_cast<uintptr_t>(&mapping) * kOdd) >> (64 - std::countr_zero(kSlots))];
}

QueryLayout* KnownLayouts::find(const Mapping& mapping, std::string_view query) {
  Slot& slot = slot_of(mapping);
  if (slot.layout == nullptr || slot.layout->mapping_.get() != &mapping) return nullptr;
  if (!slot.layout->match(query)) return nullptr;
  slot.misses = 0;
  return slot.layout.get();
}

void KnownLayouts::learn(const Mapping& mapping, std::string_view query,
                         std::span<const Parameter> parameters) {
  Slot& slot = slot_of(mapping);
  if (slot.layout == nullptr) {
    slot.layout = std::make_unique<QueryLayout>();
  } else if (++slot.misses < kMissesMax) {
    return;
  }
  slot.misses = 0;
  if (!slot.layout->become(mapping, query, parameters)) slot.layout->mapping_.reset();
}

}  // namespace postback::conversion
