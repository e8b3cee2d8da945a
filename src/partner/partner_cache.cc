#include "partner/partner_cache.h"

#include <fcntl.h>
#include <simdjson.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string_view>

#include "base/crc32c.h"
#include "base/json_writer.h"
#include "base/log.h"
#include "partner/partner_fields.h"
#include "partner/partner_rows.h"

namespace postback::partner {
namespace {

using base::Result;
using base::Status;

// {"format":1,"crc32c":N,"control":"URL"} and a line feed, then a line per partner: its row as a
// list of texts and nulls. The checksum is of everything behind the first line.
constexpr int64_t kFormat = 1;
// Ten thousand partners take some 10 MB; a longer file is not ours.
constexpr off_t kCacheBytesMax = 256 * 1024 * 1024;

Status cannot(const char* what, const std::string& path) {
  return Status::error(std::string("cannot ") + what + " " + path + ": " + std::strerror(errno));
}

// Which control database it is. Its password may change, and the options behind '?' too.
std::string identity(const DatabaseHome& home) {
  const std::string masked = base::masked_url(home.control_url);
  return masked.substr(0, masked.find('?'));
}

void append_row(std::string* out, const SqlRow& row) {
  for (size_t column = 0; column < row.size(); ++column) {
    out->push_back(column == 0 ? '[' : ',');
    if (row[column].has_value()) {
      base::append_json_string(out, *row[column]);
    } else {
      out->append("null");
    }
  }
  out->append("]\n");
}

// Closes a descriptor, whatever happens.
class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int number() const { return number_; }

 private:
  const int number_;
};

Status write_file(const std::string& path, std::string_view bytes) {
  const Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640));
  if (file.number() < 0) return cannot("make", path);
  while (!bytes.empty()) {
    const ssize_t written = ::write(file.number(), bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return cannot("write", path);
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return ::fsync(file.number()) == 0 ? Status() : cannot("sync", path);
}

Status sync_folder(const std::string& path) {
  const Descriptor folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder.number() < 0 || ::fsync(folder.number()) != 0) return cannot("sync", path);
  return Status();
}

// nullopt: there is no such file.
Result<std::optional<std::string>> read_file(const std::string& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.number() < 0 && errno == ENOENT) return std::optional<std::string>();
  struct stat status {};
  if (file.number() < 0 || ::fstat(file.number(), &status) != 0) return cannot("open", path);
  if (status.st_size > kCacheBytesMax) return Status::error(path + " is too long");
  std::string bytes(static_cast<size_t>(status.st_size), '\0');
  size_t size = 0;
  while (size < bytes.size()) {
    const ssize_t read = ::read(file.number(), bytes.data() + size, bytes.size() - size);
    if (read < 0 && errno == EINTR) continue;
    if (read < 0) return cannot("read", path);
    if (read == 0) break;
    size += static_cast<size_t>(read);
  }
  bytes.resize(size);
  return std::optional<std::string>(std::move(bytes));
}

// False unless it is a row as append_row() writes them.
bool parse_row(simdjson::dom::parser* parser, std::string_view line, SqlRow* row) {
  simdjson::dom::array values;
  const simdjson::padded_string padded(line);
  if (parser->parse(padded).get(values) != simdjson::SUCCESS) return false;
  row->clear();
  for (const simdjson::dom::element value : values) {
    std::string_view text;
    if (value.is_null()) {
      row->emplace_back();
    } else if (value.get(text) == simdjson::SUCCESS) {
      row->emplace_back(text);
    } else {
      return false;
    }
  }
  return row->size() == partner_fields().size();
}

enum class Head : uint8_t { matches, other_database, damaged };

Head judge_head(simdjson::dom::parser* parser, std::string_view line, std::string_view rest,
                const DatabaseHome& home) {
  simdjson::dom::element head;
  int64_t format = 0;
  int64_t crc = 0;
  std::string_view control;
  const simdjson::padded_string padded(line);
  if (parser->parse(padded).get(head) != simdjson::SUCCESS ||
      head["format"].get(format) != simdjson::SUCCESS ||
      head["crc32c"].get(crc) != simdjson::SUCCESS ||
      head["control"].get(control) != simdjson::SUCCESS || format != kFormat ||
      crc != static_cast<int64_t>(base::crc32c(rest))) {
    return Head::damaged;
  }
  return control == identity(home) ? Head::matches : Head::other_database;
}

}  // namespace

std::string partner_cache_path(const DatabaseHome& home) {
  return (std::filesystem::path(home.data_dir) / "partners.cache").string();
}

Status write_partner_cache(const DatabaseHome& home, const std::vector<Partner>& partners) {
  std::string rows;
  for (const Partner& partner : partners) append_row(&rows, partner_to_row(partner));
  std::string bytes = "{\"format\":" + std::to_string(kFormat) +
                      ",\"crc32c\":" + std::to_string(base::crc32c(rows)) + ",\"control\":";
  base::append_json_string(&bytes, identity(home));
  bytes.append("}\n").append(rows);

  const std::string path = partner_cache_path(home);
  const std::string unfinished = path + ".new";
  std::error_code error;
  std::filesystem::create_directories(home.data_dir, error);  // The write below tells what matters.
  const Status status = write_file(unfinished, bytes);
  if (!status.ok()) return status;
  if (::rename(unfinished.c_str(), path.c_str()) != 0) return cannot("replace", path);
  return sync_folder(home.data_dir);
}

Result<std::optional<std::vector<Partner>>> read_partner_cache(const DatabaseHome& home) {
  using Cached = std::optional<std::vector<Partner>>;
  const std::string path = partner_cache_path(home);
  Result<std::optional<std::string>> bytes = read_file(path);
  if (!bytes.ok()) return bytes.status();
  if (!bytes.value().has_value()) return Cached();
  const Status damaged = Status::error(path + " is damaged");
  std::string_view rest = *bytes.value();
  const auto take_line = [&rest] {
    const size_t end = rest.find('\n');
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end == rest.npos ? rest.size() : end + 1);
    return line;
  };
  simdjson::dom::parser parser;
  const std::string_view head = take_line();
  switch (judge_head(&parser, head, rest, home)) {
    case Head::other_database:
      return Cached();
    case Head::damaged:
      return damaged;
    case Head::matches:
      break;
  }
  std::vector<Partner> partners;
  SqlRow row;
  while (!rest.empty()) {
    if (!parse_row(&parser, take_line(), &row)) return damaged;
    Result<Partner> partner = partner_from_row(row, home);
    if (!partner.ok()) return Status::error(path + ": " + partner.status().message());
    partners.push_back(partner.take());
  }
  return Cached(std::move(partners));
}

}  // namespace postback::partner
