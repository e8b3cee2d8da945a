// postbackctl: the administration tool. A command is a function from an invocation to an exit code;
// it prints its result on standard output and every error as one line on standard error.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/settings.h"
#include "base/status.h"

namespace postback::postbackctl {

constexpr int kOk = 0;
constexpr int kFailed = 1;  // What was asked for could not be done, or only in part.
constexpr int kUsage = 2;   // The command line or a setting is wrong; nothing was tried.

constexpr int kQuarantineRowsDefault = 50;
constexpr int kQuarantineRowsMax = 1000;

// What follows the program's name, settings taken out.
struct Invocation {
  base::Settings settings;
  std::vector<std::string> words;  // Command and operands; run() sees the operands only.
  bool json = false;
  bool show_secrets = false;
  bool restore = false;  // init: removed shipped partners too.
  std::optional<std::string> partner;
  std::optional<std::string> reason;
  std::optional<std::string> id;
  bool dry_run = false;
  bool watch = false;
  bool trust_clock = false;  // purge: by this machine's clock, whatever contradicts it.
  int limit = kQuarantineRowsDefault;
  std::vector<std::string> flags;  // The names of the flags that were given.
};

struct Command {
  const char* name;      // "partner add"
  const char* operands;  // "FILE.json|-"
  size_t operands_min;
  size_t operands_max;
  std::vector<std::string> flags;  // Its own, beside the settings.
  const char* summary;             // One line.
  const char* details;             // For --help of the command.
  int (*run)(const Invocation& invocation);
};

std::span<const Command> commands();

int run_init(const Invocation& invocation);
int run_partner_list(const Invocation& invocation);
int run_partner_show(const Invocation& invocation);
int run_partner_add(const Invocation& invocation);
int run_partner_set(const Invocation& invocation);
int run_partner_enable(const Invocation& invocation);
int run_partner_disable(const Invocation& invocation);
int run_partner_remove(const Invocation& invocation);
int run_quarantine_list(const Invocation& invocation);
int run_quarantine_show(const Invocation& invocation);
int run_quarantine_export(const Invocation& invocation);
int run_quarantine_retry(const Invocation& invocation);
int run_purge(const Invocation& invocation);
int run_journal_verify(const Invocation& invocation);
int run_journal_stat(const Invocation& invocation);
int run_journal_export(const Invocation& invocation);

// Every text that leaves the tool goes through here, so none can steer a terminal: values in it are
// a sender's, a database's or another operator's (base/printable.h).
// Prints "postbackctl: …" as one line on standard error and returns `code`.
int fail(const std::string& message, int code = kFailed);
void warn(const std::string& message);
void print(const std::string& text);  // On standard output: lines of text, or JSON.

}  // namespace postback::postbackctl
