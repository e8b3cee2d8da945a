// Fuzz target of the configuration (base/settings): the --config FILE, the environment and the
// command line. The input: the file, then the environment, then the words of the command line, with
// kPartEnd between the three and line feeds between the entries.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "base/database_url.h"
#include "base/settings.h"
#include "base/settings_table.h"
#include "input.h"

namespace {

using postback::base::SettingDefinition;
using postback::base::Settings;

// A file in memory that read_settings() opens by its path.
class MemoryFile {
 public:
  MemoryFile()
      : descriptor_(memfd_create("settings", 0)),
        path_("/proc/self/fd/" + std::to_string(descriptor_)) {}
  const std::string& path() const { return path_; }
  void write(std::string_view text) const {
    CHECK(ftruncate(descriptor_, 0) == 0);
    CHECK(pwrite(descriptor_, text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()));
  }

 private:
  const int descriptor_;
  const std::string path_;
};

std::string value_of(const SettingDefinition& definition, const Settings& settings) {
  // The only one that is not shown as it is.
  if (definition.name == std::string_view("DATABASE_URL")) return settings.database_url;
  return definition.show(settings);
}

void check_equal(const Settings& a, const Settings& b) {
  for (const SettingDefinition& definition : postback::base::setting_definitions()) {
    CHECK(value_of(definition, a) == value_of(definition, b));
  }
}

void check_bounds(const Settings& settings) {
  CHECK(settings.port >= 0 && settings.port <= 65535);
  CHECK(settings.cores >= 0 && settings.cores <= 256);
  CHECK(settings.dedupe_ids_max >= 1000 && settings.dedupe_ids_max <= 1'000'000'000);
  CHECK(postback::base::check_database_url(settings.database_url).ok());
  CHECK(!settings.host.empty() && !settings.data_dir.empty() && !settings.log_file.empty());
  for (const auto& [name, value] : postback::base::settings_shown(settings)) {
    CHECK(!name.empty() && !value.empty());
  }
}

using Words = std::vector<std::string>;

// Every setting as a flag, as an entry of the environment, and as the text of a file.
struct Spelled {
  explicit Spelled(const Settings& settings) {
    for (const SettingDefinition& definition : postback::base::setting_definitions()) {
      const std::string value = value_of(definition, settings);
      flags.push_back(postback::base::setting_flag(definition) + "=" + value);
      environment.push_back(std::string(definition.name) + "=" + value);
      file += std::string(definition.name) + " = \"" + value + "\"\n";
    }
  }
  Words flags;
  Words environment;
  std::string file;
};

void check_reads_as(const Words& words, const Words& environment, const Settings& expected) {
  auto read = postback::base::read_settings(words, environment, {});
  CHECK(read.ok());
  check_equal(read.value().settings, expected);
}

// What flags say beats whatever file and environment say, and the environment beats the file.
void check_precedence(const Words& environment, const std::string& config) {
  static const Spelled ours{[] {
    Settings settings;
    settings.host = "192.0.2.1";
    settings.port = 47;
    settings.database_url = "sqlite:ours.db";
    settings.data_dir = settings.log_file = "ours";
    settings.cores = 7;
    settings.dedupe_ids_max = 4711;
    return settings;
  }()};
  static const Settings expected =
      postback::base::read_settings(ours.flags, {}, {}).take().settings;
  Words words = ours.flags;
  words.push_back(config);
  check_reads_as(words, environment, expected);
  check_reads_as({config}, ours.environment, expected);
}

// What was accepted is read as the same again.
void check_given_again(const Settings& settings, const MemoryFile& file) {
  const Spelled spelled(settings);
  check_reads_as(spelled.flags, {}, settings);
  file.write(spelled.file);
  check_reads_as({"--config=" + file.path()}, {}, settings);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const MemoryFile file;
  std::string_view rest = postback::fuzz::text_of(data, size);
  file.write(postback::fuzz::take_part(&rest));
  const Words environment = postback::fuzz::lines_of(postback::fuzz::take_part(&rest));
  Words words = postback::fuzz::lines_of(rest);
  // No other files than ours are opened.
  std::erase_if(words, [](const std::string& word) { return word.starts_with("--config"); });
  words.insert(words.begin(), "--config=" + file.path());

  auto result = postback::base::read_settings(words, environment, {"--dry-run"});
  if (!result.ok()) {
    postback::fuzz::check_message(result.status().message());
    return 0;
  }
  for (const std::string& argument : result.value().arguments) {
    CHECK(std::find(words.begin(), words.end(), argument) != words.end());
  }
  if (result.value().help || result.value().version) return 0;
  check_bounds(result.value().settings);
  check_precedence(environment, words[0]);
  check_given_again(result.value().settings, file);
  return 0;
}
