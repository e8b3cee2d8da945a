#include "http/message.h"

#include "http/characters.h"
#include "http/refusals.h"

namespace postback::http {
namespace {

constexpr size_t kHeaderCountUsual = 16;  // Enough for browsers and proxies; more grows once.

Method method_of(uint8_t method) {
  switch (method) {
    case HTTP_GET:
      return Method::get;
    case HTTP_HEAD:
      return Method::head;
    case HTTP_POST:
      return Method::post;
    case HTTP_PUT:
      return Method::put;
    case HTTP_DELETE:
      return Method::delete_;
    case HTTP_PATCH:
      return Method::patch;
    case HTTP_OPTIONS:
      return Method::options;
    case HTTP_TRACE:
      return Method::trace;
    case HTTP_CONNECT:
      return Method::connect;
    default:
      return Method::other;
  }
}

// llhttp reports a span in parts when it changes its mind on the way; they are neighbours, since
// the head is given at once and the guard lets no folded line pass.
std::string_view extended(std::string_view span, std::string_view next) {
  if (span.empty()) return next;
  return {span.data(), static_cast<size_t>(next.data() + next.size() - span.data())};
}

}  // namespace

Message::Message() {
  headers_.reserve(kHeaderCountUsual);
  llhttp_init(&parser_, HTTP_REQUEST, &settings());
  parser_.data = this;
}

const llhttp_settings_t& Message::settings() {
  static const llhttp_settings_t settings = [] {
    llhttp_settings_t s;
    llhttp_settings_init(&s);
    s.on_method = [](llhttp_t* parser, const char* at, size_t size) {
      of(parser).method_name_ = extended(of(parser).method_name_, {at, size});
      return 0;
    };
    s.on_url = [](llhttp_t* parser, const char* at, size_t size) {
      of(parser).target_ = extended(of(parser).target_, {at, size});
      return 0;
    };
    s.on_header_field = [](llhttp_t* parser, const char* at, size_t size) {
      of(parser).on_name({at, size});
      return 0;
    };
    s.on_header_value = [](llhttp_t* parser, const char* at, size_t size) {
      of(parser).on_value({at, size});
      return 0;
    };
    s.on_header_value_complete = [](llhttp_t* parser) {
      of(parser).on_value_complete();
      return 0;
    };
    s.on_headers_complete = [](llhttp_t* parser) {
      of(parser).head_complete_ = true;
      parser->upgrade = 0;  // Upgrade is ignored, and CONNECT answered without being followed.
      return 0;
    };
    s.on_body = [](llhttp_t* parser, const char* at, size_t size) {
      of(parser).body_.add({at, size});
      return 0;
    };
    s.on_chunk_header = [](llhttp_t* parser) {
      of(parser).chunk_bytes_ = parser->content_length;
      return 0;
    };
    s.on_message_complete = [](llhttp_t*) { return static_cast<int>(HPE_PAUSED); };
    return s;
  }();
  return settings;
}

void Message::on_name(std::string_view span) {
  if (headers_.empty() || in_value_) {
    headers_.push_back({span, {}});
  } else {
    headers_.back().name = extended(headers_.back().name, span);
  }
  in_value_ = false;
}

void Message::on_value(std::string_view span) {
  if (headers_.empty()) return;
  in_value_ = true;
  // Behind the white space that parse_lines() left out.
  if (span.empty() && !headers_.back().value.empty()) return;
  headers_.back().value = extended(headers_.back().value, span);
}

// llhttp leaves the white space behind a value to us.
void Message::on_value_complete() {
  if (headers_.empty()) return;
  in_value_ = true;
  headers_.back().value = trim(headers_.back().value);
}

void Message::start() {
  llhttp_reset(&parser_);
  method_name_ = {};
  target_ = {};
  headers_.clear();
  in_value_ = false;
  head_complete_ = false;
  chunk_bytes_ = 0;
  body_.clear();
}

// llhttp does not see the query, the longest part of a postback: behind the target's '?' its state
// is the same after every byte up to the target's end, and the guard has seen that they are all
// visible ASCII without '#'. It reports the target in two parts, on either side.
Message::Status Message::parse_head(std::string_view head) {
  const std::string_view line = head.substr(0, head.find('\n'));
  const size_t mark = line.find('?');
  if (mark == std::string_view::npos) return parse_lines(head);
  const Status status = parse(head.substr(0, mark + 1));
  if (status != Status::more) return status;
  return parse_lines(head.substr(line.rfind(' ')));
}

// White space around a value does not belong to it (RFC 9112 section 5.1), but llhttp 8.1 knows
// only spaces and refuses "Content-Length: 5\t". So a line with a tab is given to it without the
// white space around its value. Tabs are rare; one search tells that there is none.
Message::Status Message::parse_lines(std::string_view text) {
  if (text.find('\t') == std::string_view::npos) return parse(text);
  Status status = Status::more;
  while (status == Status::more && !text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n') + 1);
    text.remove_prefix(line.size());
    if (line.find('\t') == std::string_view::npos) {
      status = parse(line);
      continue;
    }
    constexpr size_t kEndBytes = 2;  // CR and LF: the guard has seen them, and the colon.
    const size_t value_start = line.find(':') + 1;
    const std::string_view value =
        trim(line.substr(value_start, line.size() - kEndBytes - value_start));
    for (const std::string_view piece :
         {line.substr(0, value_start), value, line.substr(line.size() - kEndBytes)}) {
      if (status == Status::more && !piece.empty()) status = parse(piece);
    }
  }
  return status;
}

Message::Status Message::parse(std::string_view piece) {
  const llhttp_errno_t error = llhttp_execute(&parser_, piece.data(), piece.size());
  if (error == HPE_OK) return Status::more;
  const bool at_end = llhttp_get_error_pos(&parser_) == piece.data() + piece.size();
  return error == HPE_PAUSED && at_end ? Status::complete : Status::malformed;
}

// The guard has read the request line, so a constant that llhttp does not find is the method's: it
// belongs to RTSP.
const Refusal& Message::head_refusal() const {
  switch (llhttp_get_errno(&parser_)) {
    case HPE_INVALID_METHOD:
    case HPE_INVALID_CONSTANT:
      return kUnknownMethod;
    case HPE_INVALID_URL:
      return kBadTarget;
    case HPE_INVALID_CONTENT_LENGTH:
      return kBadLength;
    case HPE_UNEXPECTED_CONTENT_LENGTH:
      return kAmbiguousLength;
    case HPE_INVALID_TRANSFER_ENCODING:
      return kBadTransferEncoding;
    default:
      return kBadHead;
  }
}

void Message::describe(Request* request) const {
  request->method = method_of(parser_.method);
  request->method_name = method_name_;
  request->target = target_;
  request->version_minor = parser_.http_minor;
  request->headers = headers_;
}

void Message::move_views(std::string_view from, const char* to) {
  method_name_ = moved_view(method_name_, from, to);
  target_ = moved_view(target_, from, to);
  for (Header& header : headers_) {
    header.name = moved_view(header.name, from, to);
    header.value = moved_view(header.value, from, to);
  }
}

void Message::shrink(size_t bytes_max) {
  body_.shrink(bytes_max);
  if (headers_.capacity() * sizeof(Header) > bytes_max) {
    std::vector<Header>().swap(headers_);
    headers_.reserve(kHeaderCountUsual);
  }
}

size_t Message::memory_bytes() const {
  return body_.memory_bytes() + headers_.capacity() * sizeof(Header);
}

std::string_view moved_view(std::string_view view, std::string_view from, const char* to) {
  const auto begin = reinterpret_cast<uintptr_t>(from.data());
  const auto at = reinterpret_cast<uintptr_t>(view.data());
  if (at < begin || at > begin + from.size()) return view;
  return {to + (at - begin), view.size()};
}

}  // namespace postback::http
