// A folder of its own with a SQLite control database in it, for tests of the partner layer.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "partner/control_schema.h"
#include "partner/partner_rows.h"
#include "partner/shipped_partners.h"
#include "partner/sql_client.h"

namespace postback::partner {

class ControlFixture : public ::testing::Test {
 protected:
  ControlFixture() {
    char name[] = "/tmp/postback-partner-XXXXXX";
    CHECK(mkdtemp(name) != nullptr);
    folder_ = name;
    home_ = {"sqlite:" + folder_ + "/data/control.db", folder_ + "/data"};
  }
  ~ControlFixture() override { std::filesystem::remove_all(folder_); }

  std::unique_ptr<SqlClient> connect(SqlMode mode = SqlMode::create) {
    base::Result<std::unique_ptr<SqlClient>> client = SqlClient::open(home_.control_url, mode);
    if (client.ok()) return client.take();
    ADD_FAILURE() << client.status().message();
    return nullptr;
  }
  // A connection to a database with the schema and the shipped partners in it.
  std::unique_ptr<SqlClient> shipped() {
    std::unique_ptr<SqlClient> client = connect();
    expect_ok(create_control_schema(client.get()));
    for (const Partner& partner : shipped_partners()) {
      expect_ok(insert_partner(client.get(), partner));
    }
    return client;
  }
  static void run(SqlClient* client, const std::string& sql) { expect_ok(client->run(sql)); }
  static void expect_ok(const base::Status& status) {
    EXPECT_TRUE(status.ok()) << status.message();
  }
  Partners load(SqlClient* client) {
    base::Result<Partners> partners = load_partners(client, home_);
    if (partners.ok()) return partners.take();
    ADD_FAILURE() << partners.status().message();
    return {};
  }

  std::string folder_;
  DatabaseHome home_;
};

}  // namespace postback::partner
