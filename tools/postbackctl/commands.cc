#include <cstdio>

#include "base/printable.h"
#include "command.h"

namespace postback::postbackctl {

std::span<const Command> commands() {
  static const std::vector<Command> all = {
      {"init",
       "",
       0,
       0,
       {"--json", "--restore"},
       "create the control database and register shipped partners",
       "Creates the control database and its table of partners if missing, and registers the two\n"
       "shipped partners, involve_asia and rector, if they are not there. What is there is never\n"
       "changed, and a partner that was removed stays removed, so this may be run again at any "
       "time.\n\n"
       "  --restore   register removed shipped partners too, with the id they had\n",
       run_init},
      {"partner list",
       "",
       0,
       0,
       {"--json"},
       "all partners",
       "Lists all partners by id. A row that was made wrong with SQL is named on standard error,\n"
       "and the exit code is 1.\n",
       run_partner_list},
      {"partner show",
       "CODE",
       1,
       1,
       {"--json", "--show-secrets"},
       "everything about one partner",
       "Shows every field of a partner. The password in database_url is masked unless\n"
       "--show-secrets is given. The output of --json can be edited and given to `partner add`.\n",
       run_partner_show},
      {"partner add",
       "FILE.json|-",
       1,
       1,
       {"--json"},
       "add a partner from a file or standard input",
       "Adds a partner. The file holds one JSON object, for example:\n\n"
       "  {\"partner_code\": \"new_partner\", \"partner_name\": \"New Partner\",\n"
       "   \"endpoint_path\": \"/new/event\", \"database_name\": \"new_partner_db\",\n"
       "   \"parameter_mapping\": {\"conversion_id\": \"their_id\", \"sub_id\": \"their_sub\"}}\n\n"
       "parameter_mapping pairs the name in our URL (left) with the partner's own (right). What "
       "is\n"
       "left out has its default. A running server serves the partner within two seconds.\n",
       run_partner_add},
      {"partner set",
       "CODE KEY=VALUE...",
       2,
       64,
       {"--json"},
       "change fields of a partner",
       "Changes fields of a partner and checks the whole partner as `partner add` does. For\n"
       "example:\n\n"
       "  postbackctl partner set rector timezone=Asia/Taipei lanes=2\n"
       "  postbackctl partner set rector parameter_mapping='{\"conversion_id\": \"id\"}'\n",
       run_partner_set},
      {"partner enable",
       "CODE",
       1,
       1,
       {"--json"},
       "let a partner's endpoint answer",
       "Sets is_active=true.\n",
       run_partner_enable},
      {"partner disable",
       "CODE",
       1,
       1,
       {"--json"},
       "let a partner's endpoint answer 404",
       "Sets is_active=false. The partner's rows stay as they are.\n",
       run_partner_disable},
      {"partner remove",
       "CODE",
       1,
       1,
       {"--json"},
       "forget a partner; its rows are kept",
       "Removes the partner from the control database. Its endpoint answers 404 from then on. Its\n"
       "own database with all conversions is left as it is. Its id stays with its code:\n"
       "when a partner with this code is added again, conversions it reported before are still\n"
       "recognised as duplicates.\n",
       run_partner_remove},
      {"quarantine list",
       "",
       0,
       0,
       {"--json", "--partner", "--reason", "--limit"},
       "postbacks that could not be stored as conversions",
       "Lists quarantined postbacks of all partners, newest first. A database that is away is "
       "named\n"
       "on standard error, and the exit code is 1.\n\n"
       "  --partner CODE   only this partner's\n"
       "  --reason NAME    only those with this reason, such as conversion_id_macro\n"
       "  --limit NUMBER   at most so many, 1 to 1000; default 50\n",
       run_quarantine_list},
      {"quarantine show",
       "ID",
       1,
       1,
       {"--json", "--partner"},
       "one quarantined postback",
       "Shows everything that came with a quarantined postback.\n\n"
       "  --partner CODE   look into this partner's database only\n",
       run_quarantine_show},
      {"quarantine export",
       "",
       0,
       0,
       {"--json", "--partner", "--reason"},
       "quarantined postbacks as JSON lines",
       "Prints every quarantined postback with all that came, one JSON object per line, oldest\n"
       "first. A body that is not text stands in body_base64. --json changes nothing.\n\n"
       "  --partner CODE   only this partner's\n"
       "  --reason NAME    only those with this reason\n",
       run_quarantine_export},
      {"quarantine retry",
       "",
       0,
       0,
       {"--json", "--partner", "--reason", "--id", "--dry-run"},
       "store what today's mapping makes a conversion",
       "Maps quarantined postbacks again, with the partner's mapping as it is now. What is now a\n"
       "conversion is stored, with the time at which it was received and the id that it had in "
       "the\n"
       "quarantine, and leaves the quarantine. So does what is a repeat of a stored conversion.\n"
       "What is still no conversion stays. May be run beside running servers, and again.\n\n"
       "  --partner CODE   only this partner's\n"
       "  --reason NAME    only those that have this reason in the quarantine\n"
       "  --id ID          only this one\n"
       "  --dry-run        say what would change, in rows and in money; change nothing\n",
       run_quarantine_retry},
      {"purge",
       "",
       0,
       0,
       {"--json", "--partner", "--dry-run", "--trust-clock"},
       "what is older than a partner keeps it",
       "Does now what each server does once a day: conversions older than data_retention_days\n"
       "lose their content and are shown no more, and only their ids stay, so that a repeat is a\n"
       "duplicate until dedupe_retention_days have passed. Quarantined postbacks of that age are\n"
       "deleted. The sums of /stats stay; those older than two days are merged by the hour, those\n"
       "older than 35 days by the UTC day. Works beside running servers, in small steps with\n"
       "pauses, and may be interrupted and run again. Nothing is purged while the clock of this\n"
       "machine contradicts DATA_DIR/clock.mark, the database's server or the last purge.\n\n"
       "  --partner CODE   only this partner's\n"
       "  --dry-run        say what would go, in rows and days, and what would be merged; change\n"
       "                   nothing\n"
       "  --trust-clock    purge by the clock of this machine, whatever contradicts it: look at\n"
       "                   the date first, what is purged does not come back\n",
       run_purge},
      {"journal verify",
       "",
       0,
       0,
       {"--json"},
       "whether the journal is whole",
       "Reads the journal in DATA_DIR/journal and changes nothing. Each place where accepted\n"
       "postbacks are lost is told exactly, and the exit code is 1. A torn tail is no damage: it\n"
       "was never acknowledged.\n",
       run_journal_verify},
      {"journal stat",
       "",
       0,
       0,
       {"--json", "--watch"},
       "what the journal holds",
       "Counts the records in DATA_DIR/journal, by partner and by segment, and how many are not\n"
       "in the partners' databases yet.\n"
       "  --watch          a line about once a second, until interrupted\n",
       run_journal_stat},
      {"journal export",
       "",
       0,
       0,
       {"--json"},
       "every record of the journal as a line of JSON",
       "Prints every record in DATA_DIR/journal as one line of JSON, in the order in which they\n"
       "were accepted, drained ones too. What is lost is told on standard error, and the exit\n"
       "code is 1. The output is the same with and without --json.\n",
       run_journal_export},
  };
  return all;
}

int fail(const std::string& message, int code) {
  warn(message);
  return code;
}

void warn(const std::string& message) {
  std::string line = "postbackctl: ";
  base::append_printable(&line, message);
  line += '\n';
  std::fwrite(line.data(), 1, line.size(), stderr);
}

void print(const std::string& text) {
  std::string output;
  base::append_printable_output(&output, text);
  std::fwrite(output.data(), 1, output.size(), stdout);
}

}  // namespace postback::postbackctl
