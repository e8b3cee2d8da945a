// Writes a journal for tests, as a server would have left it: conversions of one partner that were
// acknowledged and are in no database.
//
//   journal_maker FOLDER PARTNER_ID COUNT [--first N] [--segment-mib N] [--frame-records N]
//                 [--poison N] [--code CODE] [--registry UUID]
//
// Record n (from --first, 0, on) has the conversion id "journal-n", n mod 10007 cents sale and n
// mod 101 cents earning. --poison: the sub_id of this one holds a NUL, which the server's own
// checks let nobody send and PostgreSQL stores nowhere.
#include <charconv>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>

#include "base/time.h"
#include "io/mailbox.h"
#include "journal/writer.h"

namespace postback::journal {
namespace {

struct Options {
  std::string folder;
  int64_t partner_id = 0;
  int64_t count = 0;
  int64_t first = 0;
  int64_t segment_mib = 1;
  int64_t frame_records = 1000;
  int64_t poison = -1;
  std::string code;  // How the records are marked.
  std::string registry;
};

bool read_number(const char* text, int64_t* number) {
  const char* end = text + std::strlen(text);
  const auto [rest, error] = std::from_chars(text, end, *number);
  return error == std::errc() && rest == end && *number >= 0;
}

bool read_options(int count, char** words, Options* options) {
  if (count < 4 || !read_number(words[2], &options->partner_id) ||
      !read_number(words[3], &options->count)) {
    return false;
  }
  options->folder = words[1];
  for (int i = 4; i + 1 < count; i += 2) {
    const std::string_view name = words[i];
    if (name == "--code" || name == "--registry") {
      (name == "--code" ? options->code : options->registry) = words[i + 1];
      continue;
    }
    int64_t* number = name == "--first"           ? &options->first
                      : name == "--segment-mib"   ? &options->segment_mib
                      : name == "--frame-records" ? &options->frame_records
                      : name == "--poison"        ? &options->poison
                                                  : nullptr;
    if (number == nullptr || !read_number(words[i + 1], number)) return false;
  }
  return count % 2 == 0;
}

// As a server fills it; ids as its lanes make them.
void fill(const Options& options, int64_t number, int64_t now_us, Conversion* conversion) {
  constexpr int64_t kEpochUs = 1'577'836'800'000'000;
  const std::string name = "journal-" + std::to_string(number);
  conversion->clear();
  conversion->id = (now_us - kEpochUs + number) << 12;
  conversion->partner_id = static_cast<int32_t>(options.partner_id);
  conversion->received_at_us = now_us;
  conversion->usd_sale_amount = Decimal{number % 10007, 2};
  conversion->usd_earning = Decimal{number % 101, 2};
  conversion->set(Field::conversion_id, name);
  const bool poisoned = number == options.poison;
  conversion->set(Field::sub_id, poisoned ? std::string("a\0b", 3) : "sub");
  conversion->set(Field::raw_data, R"({"conversion_id":")" + name + R"(","sub_id":"sub"})");
  conversion->set(Field::request_headers, R"({"host":"localhost"})");
  conversion->set(Field::request_ip, "127.0.0.1");
}

class Maker : public MessageReceiver {
 public:
  explicit Maker(Writer* writer) : writer_(writer) {}

  // False: not durable.
  bool write(const Options& options) {
    append_.reply_mailbox = &mailbox_;
    append_.reply_receiver = this;
    const int64_t now_us = base::system_clock().wall_us();
    const Owner owner(options.registry, static_cast<int32_t>(options.partner_id), options.code);
    Conversion conversion;
    for (int64_t done = 0; done < options.count;) {
      append_.clear();
      for (int64_t i = 0; i < options.frame_records && done < options.count; ++i, ++done) {
        fill(options, options.first + done, now_us, &conversion);
        if (!append_.add(conversion, owner)) return false;
      }
      answered_ = false;
      writer_->append(&append_);
      while (!answered_) {
        mailbox_.wait();
        mailbox_.drain();
      }
      if (append_.result != AppendResult::durable) return false;
    }
    return true;
  }

 private:
  void receive(Message&) override { answered_ = true; }

  Writer* const writer_;
  io::Mailbox mailbox_{nullptr};
  Append append_;
  bool answered_ = false;
};

int run(int count, char** words) {
  Options options;
  if (!read_options(count, words, &options)) {
    std::fputs(
        "journal_maker FOLDER PARTNER_ID COUNT [--first N] [--segment-mib N] [--frame-records N] "
        "[--poison N] [--code CODE] [--registry UUID]\n",
        stderr);
    return 2;
  }
  WriterOptions writer_options;
  writer_options.folder = options.folder;
  writer_options.segment_bytes = static_cast<uint64_t>(options.segment_mib) << 20;
  base::Result<std::unique_ptr<Writer>> writer = Writer::open(std::move(writer_options));
  if (!writer.ok()) {
    std::fprintf(stderr, "journal_maker: %s\n", writer.status().message().c_str());
    return 1;
  }
  if (!Maker(writer.value().get()).write(options)) {
    std::fprintf(stderr, "journal_maker: %s\n", writer.value()->status().error.c_str());
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace postback::journal

int main(int count, char** words) {
  return postback::journal::run(count, words);
}
