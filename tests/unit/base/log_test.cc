#include "base/log.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <chrono>
#include <filesystem>
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
