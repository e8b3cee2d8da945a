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

// What was accepted, given again as flags, beats whatever file and environment say; and as a file
// it is read as the same.
void check_given_again(const Settings& settings, const std::vector<std::string>& environment,
                       const MemoryFile& file) {
  std::vector<std::string> flags = {"--config=" + file.path()};
  std::string text;
  for (const SettingDefinition& definition : postback::base::setting_definitions()) {
    const std::string value = value_of(definition, settings);
    flags.push_back(postback::base::setting_flag(definition) + "=" + value);
    text += std::string(definition.name) + " = \"" + value + "\"\n";
  }
  auto from_flags = postback::base::read_settings(flags, environment, {});
  CHECK(from_flags.ok());
  check_equal(from_flags.value().settings, settings);

  file.write(text);
  auto from_file = postback::base::read_settings({flags[0]}, {}, {});
  CHECK(from_file.ok());
  check_equal(from_file.value().settings, settings);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const MemoryFile file;
  std::string_view rest = postback::fuzz::text_of(data, size);
  file.write(postback::fuzz::take_part(&rest));
  const std::vector<std::string> environment =
      postback::fuzz::lines_of(postback::fuzz::take_part(&rest));
  std::vector<std::string> words = postback::fuzz::lines_of(rest);
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
  check_given_again(result.value().settings, environment, file);
  return 0;
}
