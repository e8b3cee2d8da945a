#include "http/parser.h"

#include <algorithm>
#include <utility>

#include "http/guard.h"
#include "http/head_reader.h"
#include "http/header_rules.h"
#include "http/known_heads.h"
#include "http/message.h"
#include "http/refusals.h"

// A request goes through these stages. Every line of it passes the guard first, then llhttp.
//
//   head ──┬────────────────────────────────────────────────────────┬─ request ── head …
//          ├─ body (Content-Length) ────────────────────────────────┤      └───── closed
//          └─ chunk_size ─┬─ chunk_data ── chunk_end ── chunk_size  │
//                         └─ trailers ──────────────────────────────┘
//
// Any stage may end in refused. After a request that closes the connection, closed swallows what
// still comes.
namespace postback::http {
namespace {

// A connection that waits for its next client, or is idle, keeps buffers up to this size each:
// enough for the head of an ordinary postback.
constexpr size_t kKeptBytesMax = 1024;

}  // namespace

class Parser::Impl {
 public:
  Impl(const Limits& limits, KnownHeads* known)
      : limits_(limits), known_(known), head_(limits_), trailer_limits_(limits_) {}

  Status feed(std::string_view* input);
  const Request& request() const { return request_; }
  const Refusal& refusal() const { return refusal_; }
  bool idle() const;
  bool reading_body() const;
  void reset();
  size_t memory_bytes() const;

 private:
  enum class Stage {
    head,
    body,
    chunk_size,
    chunk_data,
    chunk_end,
    trailers,
    request,
    closed,
    refused,
  };

  void start_request();
  bool take_known_head(std::string_view* input);
  void start_body();
  void read_body(std::string_view* input);
  void read_data(std::string_view* input);
  void read_chunk_size(std::string_view* input);
  bool parse_chunk_size(std::string_view line);
  void read_chunk_end(std::string_view* input);
  void read_trailer(std::string_view* input);
  void finish();
  void refuse(const Refusal& refusal);
  void keep();

  const Limits limits_;
  KnownHeads* const known_;      // Null: every head is parsed.
  bool head_was_known_ = false;  // The current request's.
  Stage stage_ = Stage::head;
  HeadReader head_;
  Message message_;
  Request request_;
  Refusal refusal_;
  Framing framing_;
  bool continue_sent_ = false;
  size_t data_bytes_left_ = 0;  // Of the body or of the chunk.
  size_t extension_bytes_ = 0;
  LineGatherer line_;  // A line of the chunked coding.
  SectionLimits trailer_limits_;
};

Parser::Status Parser::Impl::feed(std::string_view* input) {
  if (stage_ == Stage::request) start_request();
  if (take_known_head(input)) return Status::request;
  if (stage_ == Stage::closed) input->remove_prefix(input->size());
  if (stage_ == Stage::head) {
    switch (head_.take(input)) {
      case HeadReader::Status::need_more:
        break;
      case HeadReader::Status::complete:
        start_body();
        break;
      case HeadReader::Status::refused:
        refuse(head_.refusal());
        break;
    }
  }
  while (reading_body() && !input->empty()) read_body(input);
  if (stage_ == Stage::request) return Status::request;
  if (stage_ == Stage::refused) return Status::refused;
  keep();
  if (!reading_body() || !framing_.expect_continue || continue_sent_) return Status::need_more;
  continue_sent_ = true;
  return Status::expect_continue;
}

void Parser::Impl::start_request() {
  stage_ = request_.keep_alive ? Stage::head : Stage::closed;
  head_.clear();
  if (std::exchange(head_was_known_, false)) return;  // Nothing else was touched.
  message_.start();
  framing_ = {};
  continue_sent_ = false;
  data_bytes_left_ = 0;
  extension_bytes_ = 0;
  line_.clear();
  trailer_limits_.clear();
}

bool Parser::Impl::take_known_head(std::string_view* input) {
  if (known_ == nullptr || stage_ != Stage::head || !head_.empty()) return false;
  if (!known_->take(input, &request_)) return false;
  head_was_known_ = true;
  stage_ = Stage::request;
  return true;
}

// The head is complete: what it says decides what follows.
void Parser::Impl::start_body() {
  request_ = {};
  const Message::Status status = message_.parse_head(head_.text());
  // A refusal of ours says more precisely what is wrong than llhttp's does.
  if (message_.head_complete()) {
    message_.describe(&request_);
    request_.header_section = head_.text().substr(head_.text().find('\n') + 1);
    const Refusal* refusal = apply_header_rules(limits_.body_bytes_max, &request_, &framing_);
    if (refusal != nullptr) return refuse(*refusal);
  }
  if (status == Message::Status::malformed) return refuse(message_.head_refusal());
  if (request_.method == Method::connect) return finish();

  const bool has_body = framing_.chunked || framing_.content_length > 0;
  // llhttp and our rules must agree on whether there is a body.
  if (has_body != (status == Message::Status::more)) return refuse(kBadHead);
  if (!has_body) {
    if (known_ != nullptr && !framing_.expect_continue) known_->remember(head_.text(), request_);
    return finish();
  }
  data_bytes_left_ = framing_.content_length;
  stage_ = framing_.chunked ? Stage::chunk_size : Stage::body;
}

void Parser::Impl::read_body(std::string_view* input) {
  switch (stage_) {
    case Stage::body:
    case Stage::chunk_data:
      return read_data(input);
    case Stage::chunk_size:
      return read_chunk_size(input);
    case Stage::chunk_end:
      return read_chunk_end(input);
    case Stage::trailers:
      return read_trailer(input);
    case Stage::head:
    case Stage::request:
    case Stage::closed:
    case Stage::refused:
      return;
  }
}

void Parser::Impl::read_data(std::string_view* input) {
  const std::string_view piece = input->substr(0, data_bytes_left_);
  const Message::Status status = message_.parse(piece);
  input->remove_prefix(piece.size());
  data_bytes_left_ -= piece.size();
  const bool last = stage_ == Stage::body && data_bytes_left_ == 0;
  if (status != (last ? Message::Status::complete : Message::Status::more)) {
    return refuse(kBadBody);
  }
  if (last) return finish();
  if (data_bytes_left_ == 0) stage_ = Stage::chunk_end;
}

void Parser::Impl::read_chunk_size(std::string_view* input) {
  const size_t extension_bytes_left = limits_.chunk_extension_bytes_max - extension_bytes_;
  const size_t line_bytes_max = kChunkSizeDigitsMax + extension_bytes_left + 1;
  const LineGatherer::Status status = line_.take(input, line_bytes_max);
  if (status == LineGatherer::Status::too_long) return refuse(kBadChunk);
  if (status == LineGatherer::Status::need_more) return;

  const Refusal* refusal = check_chunk_size_line(line_.line(), &extension_bytes_);
  if (refusal != nullptr) return refuse(*refusal);
  if (extension_bytes_ > limits_.chunk_extension_bytes_max) return refuse(kBadChunk);
  if (!parse_chunk_size(line_.line())) return refuse(kBadChunk);
  line_.clear();
  if (message_.chunk_bytes() > limits_.body_bytes_max - message_.body().size()) {
    return refuse(kBodyTooLarge);
  }
  data_bytes_left_ = static_cast<size_t>(message_.chunk_bytes());
  stage_ = data_bytes_left_ > 0 ? Stage::chunk_data : Stage::trailers;
}

// Extensions are dropped: llhttp 8.1 takes `;a=b;c="d"` for an error.
bool Parser::Impl::parse_chunk_size(std::string_view line) {
  const std::string_view digits = line.substr(0, line.find_first_of("; \t\r"));
  return message_.parse(digits) == Message::Status::more &&
         message_.parse("\r\n") == Message::Status::more;
}

void Parser::Impl::read_chunk_end(std::string_view* input) {
  const LineGatherer::Status status = line_.take(input, 1);
  if (status == LineGatherer::Status::need_more) return;
  if (status == LineGatherer::Status::too_long || line_.line() != "\r\n") return refuse(kBadChunk);
  if (message_.parse(line_.line()) != Message::Status::more) return refuse(kBadChunk);
  line_.clear();
  stage_ = Stage::chunk_size;
}

// Trailer fields are checked and dropped. llhttp does not see them: it would act on some.
void Parser::Impl::read_trailer(std::string_view* input) {
  const LineGatherer::Status status = line_.take(input, trailer_limits_.line_bytes_max());
  if (status == LineGatherer::Status::too_long) return refuse(kHeaderTooLarge);
  if (status == LineGatherer::Status::need_more) return;

  const std::string_view line = line_.line();
  if (line == "\r\n") {
    if (message_.parse(line) != Message::Status::complete) return refuse(kBadChunk);
    return finish();
  }
  if (const Refusal* refusal = trailer_limits_.add_field(line.size())) return refuse(*refusal);
  if (const Refusal* refusal = check_field_line(line)) return refuse(*refusal);
  line_.clear();
}

void Parser::Impl::finish() {
  request_.body = message_.body();
  stage_ = Stage::request;
}

void Parser::Impl::refuse(const Refusal& refusal) {
  refusal_ = refusal;
  stage_ = Stage::refused;
}

// The input ends before the request does: what was read of it moves into own memory.
void Parser::Impl::keep() {
  line_.keep();
  message_.keep_body();
  if (!head_.borrows()) return;
  const std::string_view from = head_.text();
  head_.keep();
  if (!reading_body()) return;  // No views yet.
  const char* to = head_.text().data();
  message_.move_views(from, to);
  for (std::string_view* view :
       {&request_.method_name, &request_.target, &request_.path, &request_.query, &request_.host,
        &request_.content_type, &request_.content_encoding, &request_.header_section}) {
    *view = moved_view(*view, from, to);
  }
}

bool Parser::Impl::idle() const {
  return stage_ == Stage::request || stage_ == Stage::closed ||
         (stage_ == Stage::head && head_.empty());
}

bool Parser::Impl::reading_body() const {
  return stage_ == Stage::body || stage_ == Stage::chunk_size || stage_ == Stage::chunk_data ||
         stage_ == Stage::chunk_end || stage_ == Stage::trailers;
}

void Parser::Impl::reset() {
  start_request();
  stage_ = Stage::head;
  refusal_ = {};
  head_.shrink(kKeptBytesMax);
  line_.shrink(kKeptBytesMax);
  message_.shrink(kKeptBytesMax);
}

size_t Parser::Impl::memory_bytes() const {
  return sizeof(Impl) + head_.memory_bytes() + line_.memory_bytes() + message_.memory_bytes();
}

Parser::Parser(const Limits& limits) : impl_(std::make_unique<Impl>(limits, nullptr)) {}
Parser::Parser(KnownHeads* known) : impl_(std::make_unique<Impl>(known->limits(), known)) {}
Parser::~Parser() = default;
Parser::Status Parser::feed(std::string_view* input) {
  return impl_->feed(input);
}
const Request& Parser::request() const {
  return impl_->request();
}
const Refusal& Parser::refusal() const {
  return impl_->refusal();
}
bool Parser::idle() const {
  return impl_->idle();
}
bool Parser::reading_body() const {
  return impl_->reading_body();
}
void Parser::reset() {
  impl_->reset();
}
size_t Parser::memory_bytes() const {
  return impl_->memory_bytes();
}

}  // namespace postback::http
