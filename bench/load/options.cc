#include "load/options.h"

#include <charconv>
#include <cstdlib>
#include <string_view>

namespace postback::load {
namespace {

using base::Result;
using base::Status;

template <typename Number>
Status read_number(std::string_view name, const std::string& text, Number least, Number most,
                   Number* number) {
  Number value{};
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || rest != end || value < least || value > most) {
    return Status::error(std::string(name) + " \"" + text + "\": give a number from " +
                         std::to_string(least) + " to " + std::to_string(most));
  }
  *number = value;
  return Status();
}

Status read_url(std::string_view url, Options* options) {
  constexpr std::string_view kScheme = "http://";
  const size_t slash = url.starts_with(kScheme) ? url.find('/', kScheme.size()) : url.npos;
  if (slash == url.npos) {
    return Status::error("--url \"" + std::string(url) + "\": give http://HOST:PORT/PATH");
  }
  const std::string_view server = url.substr(kScheme.size(), slash - kScheme.size());
  const size_t colon = server.rfind(':');
  const std::string host(server.substr(0, colon));
  uint16_t port = 80;
  if (colon != server.npos) {
    const Status status = read_number<uint16_t>(
        "the port of --url", std::string(server.substr(colon + 1)), 1, 65535, &port);
    if (!status.ok()) return status;
  }
  if (!options->paths.empty() && (host != options->host || port != options->port)) {
    return Status::error("--url: all have to be of one host and port");
  }
  options->host = host;
  options->port = port;
  options->paths.emplace_back(url.substr(slash));
  return Status();
}

// What stands in a URL and in JSON as it is.
Status read_prefix(const std::string& value, Options* options) {
  constexpr size_t kLengthMax = 100;
  constexpr const char* kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
  if (value.empty() || value.size() > kLengthMax || value.find_first_not_of(kPlain) != value.npos) {
    return Status::error("--prefix \"" + value + "\": give 1 to 100 letters, digits, - _ .");
  }
  options->prefix = value;
  return Status();
}

Status read_option(std::string_view name, const std::string& value, Options* options) {
  if (name == "--url") return read_url(value, options);
  if (name == "--rate") return read_number(name, value, 0.1, 1e6, &options->rate);
  if (name == "--seconds") return read_number(name, value, 0.1, 1e6, &options->seconds);
  if (name == "--connections") return read_number(name, value, 1, 60'000, &options->connections);
  if (name == "--timeout-ms") return read_number(name, value, 1, 3'600'000, &options->timeout_ms);
  if (name == "--repeat-every") {
    return read_number<uint64_t>(name, value, 2, 1'000'000, &options->repeat_every);
  }
  if (name == "--prefix") {
    return read_prefix(value, options);
  }
  if (name == "--ids") {
    options->ids_file = value;
  } else if (name == "--csv") {
    options->csv_file = value;
  } else {
    return Status::error("unknown option " + std::string(name) + "; --help lists them");
  }
  return Status();
}

}  // namespace

const char kUsage[] =
    R"(offered_load --url http://HOST:PORT/PATH --rate N [--url ...] [options]

Sends postbacks at a fixed rate, whatever the server does, and measures each from the moment it was
due: one that could not be sent in time because others were slow has waited, and that counts.

  --url URL            where to; several of one host and port are used in turn
  --rate N             postbacks per second
  --seconds N          for so long (10); SIGINT and SIGTERM end it earlier
  --connections N      at most so many at once (64); what is due and finds none free waits
  --close              a new connection for each postback
  --post-json          POST with a JSON body instead of GET
  --prefix TEXT        ids are TEXT-0, TEXT-1, ... (load); a new one per run, or all are repeats
  --repeat-every N     every Nth postback repeats the id of some 1000 earlier
  --timeout-ms N       give an answer up after so long (10000); the end waits so long for the rest
  --ids FILE           append each id that got 200, before the next postback leaves
  --csv FILE           a line per second, of the answers that came in it
  --quiet              no line per second on standard error

The last line on standard output is a JSON object with the account. Amounts follow from the number
in the id: N mod 10007 cents sale, N mod 101 cents earning. Exit code 0 whatever the answers were.
)";

Result<Options> parse_options(int count, char** words) {
  Options options;
  for (int i = 1; i < count; ++i) {
    const std::string_view name = words[i];
    if (name == "--help") {
      options.help = true;
      return options;
    }
    if (name == "--close") {
      options.close = true;
    } else if (name == "--post-json") {
      options.post_json = true;
    } else if (name == "--quiet") {
      options.quiet = true;
    } else if (i + 1 == count) {
      return Status::error(std::string(name) + ": its value is missing, or it is unknown");
    } else if (Status status = read_option(name, words[++i], &options); !status.ok()) {
      return status;
    }
  }
  if (options.paths.empty()) return Status::error("--url is missing; --help lists the options");
  if (options.rate == 0) return Status::error("--rate is missing; --help lists the options");
  return options;
}

}  // namespace postback::load
