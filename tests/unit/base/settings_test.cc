#include "base/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "base/database_url.h"
#include "base/nearest.h"
#include "base/printable.h"

namespace postback::base {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::Pair;
using Words = std::vector<std::string>;

SettingsResult read(const Words& command_line, const Words& environment = {},
                    const Words& own_flags = {}) {
  Result<SettingsResult> result = read_settings(command_line, environment, own_flags);
  if (result.ok()) return result.take();
  ADD_FAILURE() << result.status().message();
  return {};
}

std::string error_of(const Words& command_line, const Words& environment = {},
                     const Words& own_flags = {}) {
  Result<SettingsResult> result = read_settings(command_line, environment, own_flags);
  if (result.ok()) return "no error";
  EXPECT_THAT(result.status().message(), Not(HasSubstr("\n")));
  return result.status().message();
}

class ConfigFile : public ::testing::Test {
 protected:
  ConfigFile() {
    char name[] = "/tmp/postback-settings-XXXXXX";
    CHECK(mkdtemp(name) != nullptr);
    folder_ = name;
    path_ = folder_ + "/p.conf";
  }
  ~ConfigFile() override {
    std::remove(path_.c_str());
    rmdir(folder_.c_str());
  }
  void write(const std::string& text) { std::ofstream(path_, std::ios::binary) << text; }
  std::string folder_;
  std::string path_;
};

TEST(Settings, HaveTheDocumentedDefaults) {
  const Settings settings = read({}).settings;
  EXPECT_EQ(settings.host, "127.0.0.1");
  EXPECT_EQ(settings.port, 8000);
  EXPECT_EQ(settings.database_url, "sqlite:data/control.db");
  EXPECT_EQ(settings.data_dir, "data");
  EXPECT_EQ(settings.cores, 0);
  EXPECT_EQ(settings.io_engine, IoEngine::automatic);
  EXPECT_EQ(settings.log_level, LogLevel::info);
  EXPECT_EQ(settings.log_format, LogFormat::text);
  EXPECT_EQ(settings.log_file, "logs/postback.log");
  EXPECT_FALSE(settings.log_postbacks);
  EXPECT_EQ(settings.dedupe_ids_max, 10'000'000);
  EXPECT_EQ(settings.journal, JournalMode::automatic);
  EXPECT_EQ(settings.journal_segment_mib, 64);
  EXPECT_EQ(settings.ack_budget_ms, 1000);
}

TEST_F(ConfigFile, FlagBeatsEnvironmentBeatsFile) {
  write("PORT=1\nCORES=1\nDATA_DIR=one\n");
  const Settings settings = read({"--config", path_, "--port=3"}, {"PORT=2", "CORES=2"}).settings;
  EXPECT_EQ(settings.port, 3);
  EXPECT_EQ(settings.cores, 2);
  EXPECT_EQ(settings.data_dir, "one");
}

TEST_F(ConfigFile, MayHaveCommentsBlanksQuotesAndEitherSpelling) {
  write(
      "\xEF\xBB\xBF# a comment\r\n\r\n  port = 9000 \r\nlog-level=debug\n"
      "DATABASE_URL=\"postgresql://u:p#w@h/db\"\nlog_file = -");
  const Settings settings = read({"--config=" + path_}).settings;
  EXPECT_EQ(settings.port, 9000);
  EXPECT_EQ(settings.log_level, LogLevel::debug);
  EXPECT_EQ(settings.database_url, "postgresql://u:p#w@h/db");
  EXPECT_EQ(settings.log_file, "-");
}

TEST_F(ConfigFile, UnknownKeyIsNamedWithItsLineAndItsNeighbours) {
  write("PORT=1\n\nDATABSE_URL=sqlite:x\n");
  EXPECT_EQ(error_of({"--config", path_}),
            path_ + ":3: unknown setting 'DATABSE_URL'; did you mean DATABASE_URL?");
  write("whatever_else=1\n");
  EXPECT_EQ(error_of({"--config", path_}),
            path_ + ":1: unknown setting 'whatever_else'; --help lists the known ones");
}

TEST_F(ConfigFile, WrongValueIsNamedWithItsLine) {
  write("# x\nport = 80000\n");
  EXPECT_EQ(error_of({"--config", path_}),
            path_ + ":2: PORT=80000: not a port; give a number from 0 to 65535");
}

TEST_F(ConfigFile, LineWithoutEqualsIsRefused) {
  write("PORT 80\n");
  EXPECT_EQ(error_of({"--config", path_}),
            path_ + ":1: no '=' in this line; write KEY=value, or # before a comment");
}

TEST_F(ConfigFile, KeyGivenTwiceIsRefused) {
  write("PORT=1\nport=2\n");
  EXPECT_EQ(error_of({"--config", path_}),
            path_ + ":2: PORT is already set (" + path_ + ":1); keep one of the two lines");
}

TEST_F(ConfigFile, MissingOrTooLargeIsRefused) {
  EXPECT_THAT(error_of({"--config", path_}), HasSubstr("cannot be opened (No such file"));
  EXPECT_THAT(error_of({"--config", folder_}), HasSubstr("cannot be read (Is a directory)"));
  write(std::string(70000, '#'));
  EXPECT_THAT(error_of({"--config", path_}), HasSubstr("longer than 64 KiB"));
}

TEST(Settings, WrongValueSaysWhatIsWrongAndWhatWouldBeRight) {
  EXPECT_EQ(error_of({}, {"PORT=80000"}), "PORT=80000: not a port; give a number from 0 to 65535");
  EXPECT_EQ(error_of({"--port", "x"}), "--port x: not a port; give a number from 0 to 65535");
  EXPECT_EQ(error_of({"--port=+1"}), "--port=+1: not a port; give a number from 0 to 65535");
  EXPECT_EQ(error_of({"--port=1 "}), "--port=1 : not a port; give a number from 0 to 65535");
  EXPECT_EQ(error_of({"--port=99999999999999999999"}),
            "--port=99999999999999999999: not a port; give a number from 0 to 65535");
  EXPECT_EQ(error_of({}, {"PORT="}), "PORT=: is empty; give it a value or leave it out");
  EXPECT_EQ(error_of({}, {"IO_ENGINE=kqueue"}),
            "IO_ENGINE=kqueue: not an engine; give auto, io_uring or epoll");
  EXPECT_EQ(error_of({}, {"LOG_LEVEL=warn"}),
            "LOG_LEVEL=warn: not a level; give DEBUG, INFO, WARNING or ERROR");
  EXPECT_EQ(error_of({}, {"LOG_FORMAT=xml"}), "LOG_FORMAT=xml: not a format; give text or json");
  EXPECT_EQ(error_of({}, {"LOG_POSTBACKS=maybe"}),
            "LOG_POSTBACKS=maybe: neither yes nor no; give true or false");
  EXPECT_THAT(error_of({}, {"CORES=257"}), HasSubstr("give a number from 1 to 256, or 0"));
  EXPECT_THAT(error_of({}, {"CORES=-1"}), HasSubstr("give a number from 1 to 256, or 0"));
  EXPECT_THAT(error_of({}, {"DEDUPE_IDS_MAX=999"}), HasSubstr("from 1000 to 1000000000"));
  EXPECT_EQ(error_of({}, {"JOURNAL=yes"}), "JOURNAL=yes: not a mode; give auto, on or off");
  for (const char* size : {"0", "1025", "64M"}) {
    EXPECT_EQ(error_of({"--journal-segment-mib", size}),
              "--journal-segment-mib " + std::string(size) +
                  ": not a size in MiB; give a number from 1 to 1024");
  }
  for (const char* time : {"99", "1501", "1s"}) {
    EXPECT_EQ(error_of({}, {"ACK_BUDGET_MS=" + std::string(time)}),
              "ACK_BUDGET_MS=" + std::string(time) +
                  ": not a time in milliseconds; give a number from 100 to 1500");
  }
  EXPECT_THAT(error_of({}, {"HOST=localhost"}), HasSubstr("not an IP address"));
  EXPECT_THAT(error_of({}, {"DATA_DIR=a\tb"}), HasSubstr("DATA_DIR=a\\tb: a control character"));
  EXPECT_THAT(error_of({}, {"LOG_FILE=logs/"}), HasSubstr("a folder"));
}

TEST(Settings, TakeEveryRightValue) {
  const Settings settings =
      read({"--io-engine", "epoll", "--log_level=ERROR", "--host", "::1"},
           {"CORES=256", "LOG_POSTBACKS=true", "DEDUPE_IDS_MAX=1000", "LOG_FORMAT=json",
            "DATABASE_URL=postgres://u@h/d", "no equals sign", "port=77"})
          .settings;
  EXPECT_EQ(settings.io_engine, IoEngine::epoll);
  EXPECT_EQ(settings.log_level, LogLevel::error);
  EXPECT_EQ(settings.host, "::1");
  EXPECT_EQ(settings.cores, 256);
  EXPECT_TRUE(settings.log_postbacks);
  EXPECT_EQ(settings.dedupe_ids_max, 1000);
  EXPECT_EQ(settings.log_format, LogFormat::json);
  EXPECT_EQ(settings.database_url, "postgres://u@h/d");
  EXPECT_EQ(settings.port, 8000) << "environment variables are case sensitive";
}

TEST(Settings, OfTheJournalTakeTheirBoundsAndAreShown) {
  const Settings small =
      read({"--journal=off", "--journal-segment-mib=1"}, {"ACK_BUDGET_MS=100"}).settings;
  EXPECT_EQ(small.journal, JournalMode::off);
  EXPECT_EQ(small.journal_segment_mib, 1);
  EXPECT_EQ(small.ack_budget_ms, 100);
  const Settings large =
      read({}, {"JOURNAL=On", "JOURNAL_SEGMENT_MIB=1024", "ACK_BUDGET_MS=1500"}).settings;
  EXPECT_EQ(large.journal, JournalMode::on);
  const auto shown = settings_shown(large);
  EXPECT_THAT(shown, Contains(Pair("JOURNAL", "on")));
  EXPECT_THAT(shown, Contains(Pair("JOURNAL_SEGMENT_MIB", "1024")));
  EXPECT_THAT(shown, Contains(Pair("ACK_BUDGET_MS", "1500")));
  EXPECT_THAT(settings_shown(Settings()), Contains(Pair("JOURNAL", "auto")));
}

TEST(Settings, CloudRunChangesDefaultsButNotWhatIsGiven) {
  const Settings settings = read({}, {"K_SERVICE=postback"}).settings;
  EXPECT_EQ(settings.host, "0.0.0.0");
  EXPECT_EQ(settings.log_format, LogFormat::json);
  EXPECT_EQ(settings.log_file, "-");
  const Settings given =
      read({"--host=127.0.0.1"}, {"LOG_FORMAT=text", "K_SERVICE=postback", "LOG_FILE=x"}).settings;
  EXPECT_EQ(given.host, "127.0.0.1");
  EXPECT_EQ(given.log_format, LogFormat::text);
  EXPECT_EQ(given.log_file, "x");
}

TEST(Settings, UnknownFlagIsAnErrorWithItsNeighbours) {
  EXPECT_EQ(error_of({"--prot=1"}), "unknown flag --prot; did you mean --port?");
  EXPECT_EQ(error_of({"-x"}), "unknown flag -x; --help lists the known ones");
  EXPECT_EQ(error_of({"--jsn"}, {}, {"--json"}), "unknown flag --jsn; did you mean --json?");
  EXPECT_EQ(error_of({"--zzzzzzzz=secret"}),
            "unknown flag --zzzzzzzz; --help lists the known ones");
  EXPECT_EQ(error_of({"--port"}), "--port has no value; give it as --port NUMBER");
  EXPECT_EQ(error_of({"--config"}), "--config has no value; give it as --config FILE");
}

TEST(Settings, ArgumentsAndOwnFlagsAreHandedOnInOrder) {
  const SettingsResult result = read({"partner", "--port", "1", "add", "-", "--json", "--limit",
                                      "5", "--partner=x", "--", "--port"},
                                     {}, {"--json", "--limit", "--partner"});
  EXPECT_THAT(result.arguments, ElementsAre("partner", "add", "-", "--json", "--limit", "5",
                                            "--partner=x", "--port"));
  EXPECT_EQ(result.settings.port, 1);
  EXPECT_FALSE(result.help);
}

TEST(Settings, HelpIsGivenHoweverWrongTheSettingsAre) {
  EXPECT_TRUE(read({"x", "--help"}, {"PORT=wrong"}).help);
  EXPECT_TRUE(read({"-h"}).help);
  EXPECT_TRUE(read({"--version"}).version);
}

TEST(Settings, HelpNamesEverySettingOnALineOfItsOwn) {
  const std::string help = settings_help();
  for (const auto& [name, value] : settings_shown(Settings())) {
    EXPECT_THAT(help, HasSubstr(" " + name + " "));
  }
  EXPECT_THAT(help, HasSubstr("--database-url URL"));
  size_t start = 0;
  while (start < help.size()) {
    const size_t end = help.find('\n', start);
    EXPECT_LE(end - start, 130u) << help.substr(start, end - start);
    start = end + 1;
  }
}

TEST(Settings, PasswordIsNeverShown) {
  Settings settings = read({}, {"DATABASE_URL=postgresql://user:s3cret@host/db"}).settings;
  for (const auto& [name, value] : settings_shown(settings)) {
    EXPECT_THAT(value, Not(HasSubstr("s3cret")));
    if (name == "DATABASE_URL") {
      EXPECT_THAT(value, HasSubstr("host/db"));
    }
  }
  for (const char* url : {"mysql://user:s3cret@host/db", "user:s3cret@host/db",
                          "postgresql://user:s3cret @host/db", "s3cret"}) {
    EXPECT_THAT(error_of({"--database-url", url}), Not(HasSubstr("s3cret")));
  }
}

TEST(DatabaseUrl, UnknownFormSaysWhatWouldBeRight) {
  EXPECT_EQ(error_of({}, {"DATABASE_URL=mysql://h/db"}),
            "DATABASE_URL: database URL scheme 'mysql' is not known; give sqlite:PATH or "
            "postgresql://USER:PASSWORD@HOST:PORT/DATABASE");
  EXPECT_THAT(check_database_url("control.db").message(), HasSubstr("no scheme"));
  EXPECT_THAT(check_database_url("").message(), HasSubstr("empty"));
  EXPECT_THAT(check_database_url("sqlite:").message(), HasSubstr("no path"));
  EXPECT_THAT(check_database_url("sqlite:///x").message(), HasSubstr("no slashes before"));
  EXPECT_THAT(check_database_url("sqlite::memory:").message(), HasSubstr("lost at exit"));
  EXPECT_THAT(check_database_url("sqlite:data/").message(), HasSubstr("a folder"));
  EXPECT_THAT(check_database_url("postgresql://h/a b").message(), HasSubstr("%20"));
  EXPECT_THAT(check_database_url("postgresql://h/a\nb").message(), HasSubstr("control character"));
}

TEST(DatabaseUrl, PasswordThatWouldBeTakenForHostOrDatabaseIsRefused) {
  for (const char* url :
       {"postgresql://u:p/w@h/db", "postgresql://u:p@w@h/db", "postgres://u:p@w/x@h",
        "postgresql://u/p@h", "postgresql://u:p?w@h/db", "postgresql://u:p?w@h?sslmode=disable"}) {
    EXPECT_THAT(check_database_url(url).message(), HasSubstr("write @ as %40")) << url;
  }
  for (const char* url : {"postgresql://u:p%40w@h/db?user=a@b", "postgresql://u@h", "postgresql://",
                          "postgresql:///db?user=a@b", "postgresql://u@h1,h2/db"}) {
    EXPECT_TRUE(check_database_url(url).ok()) << url;
  }
}

// libpq decodes them: it would take a password that masked_url() shows, or another database.
TEST(DatabaseUrl, EncodedNameOfAnOptionIsRefused) {
  for (const char* url : {"postgresql://h/d?%70assword=p", "postgresql://h/d?a=b&%64bname=e",
                          "postgresql://h?sslpass%77ord"}) {
    EXPECT_THAT(check_database_url(url).message(), HasSubstr("percent-encoded")) << url;
  }
  EXPECT_TRUE(check_database_url("postgresql://h/d%41?options=-c%20x&user=%75").ok());
}

// libpq reads an address up to its ']', over a '/' that ends the hosts for us.
TEST(DatabaseUrl, HostWithBracketsThatIsNoAddressIsRefused) {
  for (const char* url :
       {"postgresql://[::1:5432/db", "postgresql://h1:1,[::1l://h:[::1]:5/db",
        "postgresql://::1]/db", "postgresql://]@[/]/db", "postgresql://u]@h,[?]/db",
        "postgresql://[]/db", "postgresql://[::1]x/db", "postgresql://h[::1]/db"}) {
    EXPECT_THAT(check_database_url(url).message(), HasSubstr("brackets")) << url;
  }
  for (const char* url : {"postgresql://u:p@h1:1,[::1]:5432/db", "postgresql://[::1]",
                          "postgresql://[fe80::1%25eth0]/d", "postgresql://u:p[w]@h/db",
                          "postgresql://[::1],h2/db"}) {
    EXPECT_TRUE(check_database_url(url).ok()) << url;
  }
}

TEST(DatabaseUrl, KindAndPathAreRead) {
  EXPECT_TRUE(check_database_url("sqlite:/a/b.db").ok());
  EXPECT_EQ(sqlite_path("sqlite:a/b.db"), "a/b.db");
  EXPECT_EQ(database_kind("sqlite:a"), DatabaseKind::sqlite);
  EXPECT_EQ(database_kind("postgres://h"), DatabaseKind::postgresql);
  EXPECT_TRUE(check_database_url("postgresql:///db?host=/cloudsql/p:r:i").ok());
}

TEST(NearestNames, SortsByDistanceAndDropsWhatIsFar) {
  EXPECT_EQ(edit_distance("rector", "retcor"), 1u);
  EXPECT_EQ(edit_distance("", "abc"), 3u);
  EXPECT_EQ(edit_distance("ABC", "abc"), 0u);
  EXPECT_THAT(nearest_names("recter", {"involve_asia", "vector", "rector"}),
              ElementsAre("rector", "vector"));
  EXPECT_THAT(nearest_names("xyz", {"involve_asia", "rector"}), IsEmpty());
  EXPECT_THAT(nearest_names(std::string(10000, 'x'), {"x"}), IsEmpty());
}

TEST(Printable, EscapesWhatCouldSteerATerminal) {
  EXPECT_EQ(printable("plain 中文 é"), "plain 中文 é");
  EXPECT_EQ(printable("a\x1b[31m\n\t\r\x7f"), "a\\x1b[31m\\n\\t\\r\\x7f");
  EXPECT_EQ(printable("\xC2\x9B"
                      "31m"),
            "\\xc2\\x9b31m");
  EXPECT_EQ(printable("\xFF\xFE"), "\\xff\\xfe");
  EXPECT_EQ(printable("\xE2\x80\xAE"
                      "abc"),
            "\\u{202e}abc");
  EXPECT_EQ(printable(std::string("\0", 1)), "\\x00");
}

// In JSON, \u009b means the character itself: what is printed says what it said.
TEST(Printable, OutputOfSeveralLinesStaysTextOrJsonAndCannotSteerATerminal) {
  const auto output = [](std::string_view text) {
    std::string out;
    append_printable_output(&out, text);
    return out;
  };
  EXPECT_EQ(output("one\n\ttwo 中文\n"), "one\n\ttwo 中文\n");
  EXPECT_EQ(output("{\"a\":\"\xC2\x9B"
                   "2J\xE2\x80\xAE"
                   "b\x7f\"}\n"),
            "{\"a\":\"\\u009b2J\\u202eb\\u007f\"}\n");
  EXPECT_EQ(output("\x1b[31m\r\xFF"), "\\x1b[31m\\r\\xff");
}

TEST(Printable, CutsBetweenCharacters) {
  EXPECT_EQ(printable("abcdef", 3), "abc…");
  EXPECT_EQ(printable("中文", 4), "中…");
}

}  // namespace
}  // namespace postback::base
