#include "base/log.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>

namespace postback::base {
namespace {

TEST(LogMask, AnAddressKeepsItsNetwork) {
  EXPECT_EQ(masked_ip("203.0.113.77"), "203.0.113.0/24");
  EXPECT_EQ(masked_ip("2001:db8:85a3::8a2e:370:7334"), "2001:db8:85a3::/48");
  EXPECT_EQ(masked_ip("::1"), "-");
  EXPECT_EQ(masked_ip(""), "-");
}

TEST(LogMask, ALongIdKeepsItsFirstCharacters) {
  EXPECT_EQ(masked_id("short"), "short");
  EXPECT_EQ(masked_id("conversion-1"), "conv\xE2\x80\xA6");
  EXPECT_EQ(masked_id("\xE4\xB8\xAD\xE6\x96\x87\xE4\xB8\xAD\xE6\x96\x87"),
            "\xE4\xB8\xAD\xE2\x80\xA6");
}

TEST(LogMask, AUrlShowsNoPassword) {
  EXPECT_EQ(masked_url("postgresql://user:secret@host:5432/db"),
            "postgresql://user:***@host:5432/db");
  EXPECT_EQ(masked_url("postgresql://host/db?password=a&sslmode=require&sslpassword=b&password=c"),
            "postgresql://host/db?password=***&sslmode=require&sslpassword=***&password=***");
  EXPECT_EQ(masked_url("postgresql://user@host/db"), "postgresql://user@host/db");
  EXPECT_EQ(masked_url("sqlite:data/control.db"), "sqlite:data/control.db");
}

std::string logged(LogFormat format, std::string_view message) {
  char folder[] = "/tmp/postback-log-XXXXXX";
  EXPECT_NE(mkdtemp(folder), nullptr);
  LogOptions options;
  options.format = format;
  options.file = std::string(folder) + "/postback.log";
  EXPECT_TRUE(log_start(options).ok());
  log_line(LogLevel::warning, "test", message);
  log_stop();
  std::ifstream file(options.file);
  std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  std::filesystem::remove_all(folder);
  return text;
}

// C0, DEL, C1 (CSI as one byte and in UTF-8), bidirectional controls, line separators, a stray
// byte.
constexpr std::string_view kHostile =
    "a\x1b[31m\n\x7f|\xC2\x9B"
    "2J|\xC2\x85|\xE2\x80\xAE|\xE2\x81\xA6|\xE2\x80\xA8|\xD8\x9C|\x9B|中文";

TEST(Log, PassesNothingToATerminalThatCouldSteerItOrReorderWhatIsRead) {
  const std::string line = logged(LogFormat::text, kHostile);
  EXPECT_TRUE(
      line.ends_with("WARNING test: a\\x1b[31m\\n\\x7f|\\xc2\\x9b2J|\\xc2\\x85|\\u{202e}|"
                     "\\u{2066}|\\u{2028}|\\u{061c}|\\x9b|中文\n"))
      << line;
}

TEST(Log, PassesNothingOfTheKindInJsonEither) {
  const std::string line = logged(LogFormat::json, kHostile);
  EXPECT_TRUE(
      line.ends_with("\"message\":\"a\\u001b[31m\\n\\u007f|\\u009b2J|\\u0085|\\u202e|"
                     "\\u2066|\\u2028|\\u061c|\xEF\xBF\xBD|中文\"}\n"))
      << line;
}

TEST(Log, CutsALongLineBetweenCharacters) {
  std::string text(kLineBytesMax - 1, 'x');
  const std::string line = logged(LogFormat::text, text + "中");
  EXPECT_TRUE(line.ends_with("xxx\n")) << line.substr(line.size() - 20);
}

TEST(Log, IsReopenedAtOnceAndNotOnlyWithTheNextLine) {
  char folder[] = "/tmp/postback-log-XXXXXX";
  ASSERT_NE(mkdtemp(folder), nullptr);
  const std::string file = std::string(folder) + "/postback.log";
  LogOptions options;
  options.file = file;
  ASSERT_TRUE(log_start(options).ok());
  std::filesystem::rename(file, file + ".1");
  log_reopen();
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!std::filesystem::exists(file) && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::yield();
  }
  EXPECT_TRUE(std::filesystem::exists(file));
  log_stop();
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace postback::base
