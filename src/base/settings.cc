#include "base/settings.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <string_view>

#include "base/nearest.h"
#include "base/printable.h"
#include "base/settings_table.h"

namespace postback::base {
namespace {

constexpr size_t kConfigBytesMax = 64 * 1024;

// A setting's value and where it stood, for the message: "PORT=8000", "--port 8000", "f.conf:3: …".
struct Given {
  std::string value;
  std::string name;    // The name as given: "PORT", "--port".
  std::string prefix;  // "f.conf:3: " for a line of a file.
  char joint = '=';    // Between name and value.
};
using GivenSettings = std::map<const SettingDefinition*, Given>;

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const size_t first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

// One pair of quotes around a value is dropped, as systemd and compose do with such files.
std::string_view unquoted(std::string_view text) {
  const bool quoted = text.size() >= 2 && text.front() == text.back() &&
                      (text.front() == '"' || text.front() == '\'');
  return quoted ? text.substr(1, text.size() - 2) : text;
}

std::string wrong_value(const Given& given, const SettingDefinition& definition,
                        const std::string& wrong) {
  std::string message = given.prefix + given.name;
  if (!definition.secret) message += given.joint + printable(given.value);
  return message + ": " + wrong;
}

// --- The config file ---

Result<std::string> read_config_text(const std::string& path) {
  const std::string shown = printable(path);
  const std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(path.c_str(), "re"), &std::fclose);
  if (!file) {
    return Status::error("--config " + shown + ": cannot be opened (" + std::strerror(errno) +
                         "); give the path of a readable file");
  }
  std::string text(kConfigBytesMax + 1, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file.get()));
  if (std::ferror(file.get()) != 0) {
    return Status::error("--config " + shown + ": cannot be read (" + std::strerror(errno) +
                         "); give the path of a readable file");
  }
  if (text.size() > kConfigBytesMax) {
    return Status::error("--config " + shown +
                         ": longer than 64 KiB; give a file of KEY=value lines");
  }
  if (text.starts_with("\xEF\xBB\xBF")) text.erase(0, 3);  // A byte order mark.
  return text;
}

std::vector<std::string> setting_names() {
  std::vector<std::string> names;
  for (const SettingDefinition& definition : setting_definitions()) {
    names.emplace_back(definition.name);
  }
  return names;
}

Status read_config_line(const std::string& where, std::string_view line, GivenSettings* given) {
  const size_t equals = line.find('=');
  if (equals == std::string_view::npos) {
    return Status::error(where + "no '=' in this line; write KEY=value, or # before a comment");
  }
  const std::string_view key = trimmed(line.substr(0, equals));
  const SettingDefinition* definition = find_setting(key);
  if (definition == nullptr) {
    std::string near = did_you_mean(key, setting_names());
    if (near.empty()) near = "; --help lists the known ones";
    return Status::error(where + "unknown setting '" + printable(key, 60) + "'" + near);
  }
  const auto before = given->find(definition);
  if (before != given->end()) {
    return Status::error(where + definition->name + " is already set (" +
                         before->second.prefix.substr(0, before->second.prefix.size() - 2) +
                         "); keep one of the two lines");
  }
  (*given)[definition] =
      Given{std::string(unquoted(trimmed(line.substr(equals + 1)))), definition->name, where, '='};
  return Status();
}

Status read_config(const std::string& path, GivenSettings* given) {
  Result<std::string> text = read_config_text(path);
  if (!text.ok()) return text.status();
  std::string_view rest = text.value();
  GivenSettings from_file;
  for (int line_number = 1; !rest.empty(); ++line_number) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = trimmed(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (line.empty() || line.front() == '#') continue;
    const std::string where = printable(path) + ":" + std::to_string(line_number) + ": ";
    const Status status = read_config_line(where, line, &from_file);
    if (!status.ok()) return status;
  }
  for (auto& [definition, value] : from_file) given->try_emplace(definition, std::move(value));
  return Status();
}

// --- The command line ---

// What the command line said, before any value is looked at.
struct CommandLine {
  GivenSettings flags;
  std::string config;
  bool has_config = false;
};

Status unknown_flag(std::string_view flag, const std::vector<std::string>& own_flags) {
  std::vector<std::string> known = own_flags;
  known.insert(known.end(), {"--config", "--help", "--version"});
  for (const SettingDefinition& definition : setting_definitions()) {
    known.push_back(setting_flag(definition));
  }
  std::string near = did_you_mean(flag, known);
  if (near.empty()) near = "; --help lists the known ones";
  return Status::error("unknown flag " + printable(flag, 60) + near);
}

// Reads words[*index], which starts with a dash, and its value; moves *index to the last word used.
Status read_flag(const std::vector<std::string>& words, size_t* index,
                 const std::vector<std::string>& own_flags, CommandLine* line,
                 SettingsResult* result) {
  const std::string& word = words[*index];
  const size_t equals = word.find('=');
  const std::string flag = word.substr(0, equals);
  if (std::find(own_flags.begin(), own_flags.end(), flag) != own_flags.end()) {
    result->arguments.push_back(word);
    return Status();
  }
  if (word == "--help" || word == "-h") {
    result->help = true;
    return Status();
  }
  if (word == "--version") {
    result->version = true;
    return Status();
  }
  const SettingDefinition* definition =
      flag.starts_with("--") ? find_setting(std::string_view(flag).substr(2)) : nullptr;
  const bool is_config = flag == "--config";
  if (definition == nullptr && !is_config) return unknown_flag(flag, own_flags);
  Given given{"", flag, "", equals == std::string::npos ? ' ' : '='};
  if (equals != std::string::npos) {
    given.value = word.substr(equals + 1);
  } else if (*index + 1 < words.size()) {
    given.value = words[++*index];
  } else {
    return Status::error(flag + " has no value; give it as " + flag + " " +
                         (is_config ? "FILE" : definition->value));
  }
  if (is_config) {
    line->config = given.value;
    line->has_config = true;
  } else {
    line->flags[definition] = std::move(given);
  }
  return Status();
}

Status read_command_line(const std::vector<std::string>& words,
                         const std::vector<std::string>& own_flags, CommandLine* line,
                         SettingsResult* result) {
  bool flags_ended = false;
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    // A lone dash is an operand: standard input.
    if (flags_ended || word.size() < 2 || word[0] != '-') {
      result->arguments.push_back(word);
    } else if (word == "--") {
      flags_ended = true;
    } else {
      const Status status = read_flag(words, &i, own_flags, line, result);
      if (!status.ok()) return status;
    }
  }
  return Status();
}

// --- The environment ---

void read_environment(const std::vector<std::string>& environment, GivenSettings* given,
                      bool* cloud_run) {
  for (const std::string& entry : environment) {
    const size_t equals = entry.find('=');
    if (equals == std::string::npos) continue;
    const std::string_view name = std::string_view(entry).substr(0, equals);
    std::string value = entry.substr(equals + 1);
    if (name == "K_SERVICE" && !value.empty()) *cloud_run = true;
    const SettingDefinition* definition = find_setting(name);
    // Environment variables are case sensitive: `port` is somebody else's.
    if (definition == nullptr || name != definition->name) continue;
    given->try_emplace(definition, Given{std::move(value), definition->name, "", '='});
  }
}

}  // namespace

Result<SettingsResult> read_settings(const std::vector<std::string>& command_line,
                                     const std::vector<std::string>& environment,
                                     const std::vector<std::string>& own_flags) {
  SettingsResult result;
  CommandLine line;
  Status status = read_command_line(command_line, own_flags, &line, &result);
  if (!status.ok()) return status;
  // Who asks for help gets it, however wrong the settings are.
  if (result.help || result.version) return result;

  GivenSettings given = std::move(line.flags);
  bool cloud_run = false;
  read_environment(environment, &given, &cloud_run);
  if (line.has_config) {
    status = read_config(line.config, &given);
    if (!status.ok()) return status;
  }
  if (cloud_run) {
    // The container's only way in is from outside it, its log is collected from standard output,
    // and its file system is memory, where a log file would grow until the instance is killed.
    result.settings.host = "0.0.0.0";
    result.settings.log_format = LogFormat::json;
    result.settings.log_file = "-";
  }
  for (const SettingDefinition& definition : setting_definitions()) {
    const auto found = given.find(&definition);
    if (found == given.end()) continue;
    const Given& value = found->second;
    std::string wrong = definition.read(value.value, &result.settings);
    if (value.value.empty()) wrong = "is empty; give it a value or leave it out";
    if (!wrong.empty()) return Status::error(wrong_value(value, definition, wrong));
  }
  return result;
}

std::string settings_help() {
  const Settings defaults;
  std::string text = "Settings (flag beats environment variable beats key of the file):\n";
  constexpr size_t kFlagWidth = 30;
  constexpr size_t kNameWidth = 20;
  constexpr size_t kDefaultWidth = 24;
  const auto append_cell = [&text](const std::string& cell, size_t width) {
    text += cell;
    text.append(cell.size() < width ? width - cell.size() : 1, ' ');
  };
  const auto append_line = [&](const std::string& flag, const std::string& name,
                               const std::string& value, const std::string& meaning) {
    text += "  ";
    append_cell(flag, kFlagWidth);
    append_cell(name, kNameWidth);
    append_cell(value, kDefaultWidth);
    text += meaning + "\n";
  };
  append_line("flag", "environment", "default", "meaning");
  for (const SettingDefinition& definition : setting_definitions()) {
    append_line(setting_flag(definition) + " " + definition.value, definition.name,
                definition.show(defaults), definition.meaning);
  }
  append_line("--config FILE", "", "", "file of KEY=value lines, # before a comment");
  append_line("--help, -h", "", "", "this text");
  append_line("--version", "", "", "the version");
  return text;
}

std::vector<std::pair<std::string, std::string>> settings_shown(const Settings& settings) {
  std::vector<std::pair<std::string, std::string>> shown;
  for (const SettingDefinition& definition : setting_definitions()) {
    shown.emplace_back(definition.name, definition.show(settings));
  }
  return shown;
}

}  // namespace postback::base
