#include "http/known_heads.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>

#include "base/byte_window.h"
#include "http/message.h"

namespace postback::http {
namespace {

constexpr size_t kNone = std::string_view::npos;

// Position of the first byte, from `position` on, that no query has: mostly the space behind it.
size_t query_end(std::string_view text, size_t position) {
  using base::ByteWindow;
  uint32_t found = 0;
  const auto look = [&](size_t size) {
    const ByteWindow window(text.data() + position, size);
    found = window.not_printable() | window.equal(' ', '#');
    return found != 0;
  };
  // Whole windows first: to cut one to a size costs as much as to look through it.
  while (text.size() - position >= ByteWindow::kBytes && !look(ByteWindow::kBytes)) {
    position += ByteWindow::kBytes;
  }
  // The NUL bytes behind the text are found, if nothing else is.
  if (found == 0) look(text.size() - position);
  return std::min(text.size(), position + static_cast<size_t>(std::countr_zero(found)));
}

uint64_t word_at(std::string_view text, size_t position) {
  uint64_t word = 0;
  std::memcpy(&word, text.data() + position, sizeof word);
  return word;
}

}  // namespace

KnownHeads::KnownHeads(const Limits& limits) : limits_(limits), sets_(kSets) {}

bool KnownHeads::take(std::string_view* input, Request* request) {
  const size_t mark = input->substr(0, kStartBytesMax).find('?');
  if (mark == kNone || mark + 1 < kStartBytesMin) return false;
  const std::string_view start = input->substr(0, mark + 1);
  const size_t end = query_end(*input, mark + 1);
  const std::string_view behind = input->substr(end);
  Set& set = set_of(start);
  for (size_t way = 0; way < kWays; ++way) {
    const Head& head = set.heads[way];
    const std::string_view rest = head.rest();
    if (head.start_size != start.size() || !behind.starts_with(rest) || head.start() != start) {
      continue;
    }
    if (end + head.line_end > limits_.request_line_bytes_max + 1) return false;
    set.recent = way;
    *request = head.request;
    const size_t target_start = head.request.method_name.size() + 1;
    request->target = input->substr(target_start, end - target_start);
    request->path = input->substr(target_start, mark - target_start);
    request->query = input->substr(mark + 1, end - mark - 1);
    input->remove_prefix(end + rest.size());
    return true;
  }
  return false;
}

void KnownHeads::remember(std::string_view head, const Request& request) {
  const size_t mark = head.find('?');
  if (mark == kNone || mark + 1 < kStartBytesMin || mark >= kStartBytesMax) return;
  // In origin-form, and the mark is the one between path and query.
  if (!request.target.starts_with('/')) return;
  if (request.path.data() + request.path.size() != head.data() + mark) return;
  if (head.size() - request.query.size() > kHeadBytesMax) return;
  Set& set = set_of(head.substr(0, mark + 1));
  set.recent = (set.recent + 1) % kWays;
  fill(&set.heads[set.recent], head, mark, request);
}

KnownHeads::Set& KnownHeads::set_of(std::string_view start) {
  // Paths of partners differ at their ends and in their middle.
  const size_t last = start.size() - sizeof(uint64_t);
  constexpr uint64_t kOdd = 0x9E3779B97F4A7C15;
  const uint64_t hash = (word_at(start, last) + 31 * word_at(start, last / 2)) * kOdd;
  static_assert(std::has_single_bit(kSets));
  return sets_[hash >> (64 - std::countr_zero(kSets))];
}

void KnownHeads::fill(Head* to, std::string_view head, size_t mark, const Request& request) {
  const std::string_view start = head.substr(0, mark + 1);
  const std::string_view rest = head.substr(mark + 1 + request.query.size());
  to->bytes.assign(start).append(rest);
  to->start_size = start.size();
  to->line_end = rest.find('\n');
  const char* const rest_copy = to->bytes.data() + start.size();
  to->headers.clear();
  for (const Header& header : request.headers) {
    to->headers.push_back(
        {moved_view(header.name, rest, rest_copy), moved_view(header.value, rest, rest_copy)});
  }
  to->request = request;
  to->request.headers = to->headers;
  to->request.method_name = moved_view(request.method_name, start, to->bytes.data());
  for (std::string_view* view : {&to->request.host, &to->request.content_type,
                                 &to->request.content_encoding, &to->request.header_section}) {
    *view = moved_view(*view, rest, rest_copy);
  }
  to->request.target = to->request.path = to->request.query = to->request.body = {};
}

}  // namespace postback::http
