// postbackctl: reads the command line, finds the command, runs it.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>

#include "base/nearest.h"
#include "base/printable.h"
#include "command.h"

namespace postback::postbackctl {
namespace {

using base::Status;

// A flag without a value.
bool is_switch(const std::string& name) {
  return name == "--json" || name == "--show-secrets" || name == "--restore" ||
         name == "--dry-run" || name == "--watch" || name == "--trust-clock";
}

std::string usage_of(const Command& command) {
  std::string usage = std::string("postbackctl ") + command.name;
  if (*command.operands != '\0') usage += std::string(" ") + command.operands;
  for (const std::string& flag : command.flags) {
    usage += " [" + flag + (is_switch(flag) ? "" : " ...") + "]";
  }
  return usage;
}

// The help of everything whose name starts with `prefix` ("" for all, "partner").
std::string general_help(const std::string& prefix) {
  std::string text =
      "Administers the partners of postbackd. The server need not run.\n\nCommands:\n";
  for (const Command& command : commands()) {
    const std::string name = command.name;
    if (!prefix.empty() && !name.starts_with(prefix + " ")) continue;
    std::string left = "  " + name + " " + command.operands;
    left.resize(std::max<size_t>(left.size() + 1, 36), ' ');
    text += left + command.summary + "\n";
  }
  return text +
         "\nWith --json the result is JSON. `postbackctl COMMAND --help` tells more of one "
         "command.\n"
         "Exit code: 0 done, 1 failed, 2 wrong command line.\n\n" +
         base::settings_help();
}

const Command* find_command(const std::vector<std::string>& words, size_t* words_used) {
  for (const Command& command : commands()) {
    const std::string name = command.name;
    *words_used = static_cast<size_t>(1 + std::count(name.begin(), name.end(), ' '));
    std::string given;
    for (size_t i = 0; i < std::min(*words_used, words.size()); ++i) {
      given += (i > 0 ? " " : "") + words[i];
    }
    if (given == name) return &command;
  }
  return nullptr;
}

int help(const std::vector<std::string>& words) {
  size_t words_used = 0;
  const Command* command = find_command(words, &words_used);
  if (command == nullptr) {
    const bool group = !words.empty() &&
                       (words[0] == "partner" || words[0] == "quarantine" || words[0] == "journal");
    print(general_help(group ? words[0] : ""));
  } else {
    print("Usage: " + usage_of(*command) + "\n\n" + command->details +
          "\nThe control database is the setting --database-url (environment DATABASE_URL); all\n"
          "settings are shown by: postbackctl --help\n");
  }
  return kOk;
}

int unknown_command(const std::vector<std::string>& words) {
  if (words.empty()) return fail("no command; postbackctl --help lists them", kUsage);
  std::vector<std::string> names;
  std::string group;
  for (const Command& command : commands()) {
    names.emplace_back(command.name);
    if (names.back().starts_with(words[0] + " "))
      group += (group.empty() ? "" : ", ") + names.back();
  }
  std::string given = words[0];
  if (words.size() > 1) given += " " + words[1];
  if (!group.empty() && words.size() == 1) {
    return fail("'" + given + "' is not complete; give one of: " + group, kUsage);
  }
  std::string near = base::did_you_mean(given, names);
  if (near.empty()) near = base::did_you_mean(words[0], names);
  if (near.empty())
    near = group.empty() ? "; postbackctl --help lists them" : "; there are: " + group;
  return fail("unknown command '" + base::printable(given, 60) + "'" + near, kUsage);
}

Status set_flag(const std::string& name, const std::string& value, Invocation* invocation) {
  if (name == "--partner") {
    invocation->partner = value;
  } else if (name == "--reason") {
    invocation->reason = value;
  } else if (name == "--id") {
    invocation->id = value;
  } else {
    const char* end = value.data() + value.size();
    const auto result = std::from_chars(value.data(), end, invocation->limit);
    if (result.ec != std::errc() || result.ptr != end || invocation->limit < 1 ||
        invocation->limit > kQuarantineRowsMax) {
      return Status::error("--limit " + base::printable(value) +
                           ": not a number of rows; give a number from 1 to 1000");
    }
  }
  return Status();
}

// Takes our own flags out of the arguments; what remains are words.
Status read_flags(const std::vector<std::string>& arguments, Invocation* invocation) {
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (!argument.starts_with("--")) {
      invocation->words.push_back(argument);
      continue;
    }
    const size_t equals = argument.find('=');
    const std::string name = argument.substr(0, equals);
    invocation->flags.push_back(name);
    if (is_switch(name)) {
      if (equals != std::string::npos) return Status::error(name + " has no value; leave it out");
      if (name == "--json") invocation->json = true;
      if (name == "--show-secrets") invocation->show_secrets = true;
      if (name == "--restore") invocation->restore = true;
      if (name == "--dry-run") invocation->dry_run = true;
      if (name == "--watch") invocation->watch = true;
      if (name == "--trust-clock") invocation->trust_clock = true;
      continue;
    }
    if (equals == std::string::npos && i + 1 == arguments.size()) {
      return Status::error(name + " has no value; give one behind it");
    }
    const std::string value =
        equals == std::string::npos ? arguments[++i] : argument.substr(equals + 1);
    const Status status = set_flag(name, value, invocation);
    if (!status.ok()) return status;
  }
  return Status();
}

int run_command(Invocation invocation) {
  size_t words_used = 0;
  const Command* command = find_command(invocation.words, &words_used);
  if (command == nullptr) return unknown_command(invocation.words);
  for (const std::string& flag : invocation.flags) {
    if (std::find(command->flags.begin(), command->flags.end(), flag) == command->flags.end()) {
      return fail(
          std::string(command->name) + " has no flag " + flag + "; usage: " + usage_of(*command),
          kUsage);
    }
  }
  invocation.words.erase(invocation.words.begin(),
                         invocation.words.begin() + static_cast<ptrdiff_t>(words_used));
  const size_t operand_count = invocation.words.size();
  if (operand_count < command->operands_min || operand_count > command->operands_max) {
    return fail(std::string(operand_count < command->operands_min ? "too few" : "too many") +
                    " words; usage: " + usage_of(*command),
                kUsage);
  }
  return command->run(invocation);
}

int run(const std::vector<std::string>& command_line, const std::vector<std::string>& environment) {
  base::Result<base::SettingsResult> read =
      base::read_settings(command_line, environment,
                          {"--json", "--show-secrets", "--restore", "--dry-run", "--watch",
                           "--trust-clock", "--partner", "--reason", "--id", "--limit"});
  if (!read.ok()) return fail(read.status().message(), kUsage);
  base::SettingsResult result = read.take();
  Invocation invocation;
  invocation.settings = result.settings;
  const Status status = read_flags(result.arguments, &invocation);
  if (result.version) {
    print("postbackctl " POSTBACK_VERSION "\n");
    return kOk;
  }
  if (result.help) return help(invocation.words);
  if (!status.ok()) return fail(status.message(), kUsage);
  return run_command(std::move(invocation));
}

}  // namespace
}  // namespace postback::postbackctl

int main(int argc, char** argv) {
  // The control database holds passwords: what is made here is not for everybody, as in postbackd.
  // What the operator's own mask takes away stays away.
  umask(umask(0) | 0027);
  namespace ctl = postback::postbackctl;
  std::vector<std::string> environment;
  for (char** entry = environ; *entry != nullptr; ++entry) environment.emplace_back(*entry);
  const int code =
      ctl::run(std::vector<std::string>(argv + std::min(argc, 1), argv + argc), environment);
  // A full disk behind `> file` must not look like success.
  if (std::fflush(stdout) != 0) {
    return ctl::fail(std::string("the output could not be written: ") + std::strerror(errno) +
                     "; free space or choose another file");
  }
  return code;
}
