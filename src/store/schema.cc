#include "store/schema.h"

#include <iterator>

namespace postback::store {
namespace {

// Version 2, for the purge (src/retention). purged_at: since when only the id of the conversion is
// kept, for its repeats. postback_purge, a row per partner: every conversion with an id below
// floor_id is purged or about to be, so nobody need look there for rows to show; who purges, until
// when that one is taken to be alive, and when the last purge was complete. Neither column nor
// table costs time in a large database: no row is rewritten.
constexpr const char* kPostgresPurge = R"sql(
ALTER TABLE partner_conversions ADD COLUMN IF NOT EXISTS purged_at timestamptz;
CREATE TABLE IF NOT EXISTS postback_purge (
  partner_id integer NOT NULL PRIMARY KEY,
  floor_id bigint NOT NULL DEFAULT 0,
  holder bigint NOT NULL DEFAULT 0,
  held_until timestamptz,
  finished_at timestamptz
);
)sql";
constexpr const char* kSqlitePurge = R"sql(
ALTER TABLE partner_conversions ADD COLUMN purged_at TEXT;
CREATE TABLE IF NOT EXISTS postback_purge (
  partner_id INTEGER PRIMARY KEY,
  floor_id INTEGER NOT NULL DEFAULT 0,
  holder INTEGER NOT NULL DEFAULT 0,
  held_until TEXT,
  finished_at TEXT
);
)sql";

// Version 3. incarnation: see schema.h. postback_partner_codes says which partner the rows of a
// partner_id belong to, and which control database gave it that number: a control database that was
// made anew may give the number to another partner, whose rows must not mix with these. The columns
// of postback_purge are those by which a purge does not depend on one clock
// (retention/purge_state.h).
constexpr const char* kPostgresIdentity = R"sql(
ALTER TABLE postback_schema ADD COLUMN IF NOT EXISTS incarnation text;
CREATE TABLE IF NOT EXISTS postback_partner_codes (
  partner_id integer NOT NULL PRIMARY KEY,
  partner_code varchar(50) NOT NULL,
  registry_id text NOT NULL DEFAULT ''
);
ALTER TABLE postback_purge ADD COLUMN IF NOT EXISTS as_of timestamptz;
ALTER TABLE postback_purge ADD COLUMN IF NOT EXISTS gaps text NOT NULL DEFAULT '';
ALTER TABLE postback_purge ADD COLUMN IF NOT EXISTS swept_id bigint NOT NULL DEFAULT 0;
)sql";
constexpr const char* kSqliteIdentity = R"sql(
ALTER TABLE postback_schema ADD COLUMN incarnation TEXT;
CREATE TABLE IF NOT EXISTS postback_partner_codes (
  partner_id INTEGER PRIMARY KEY,
  partner_code TEXT NOT NULL,
  registry_id TEXT NOT NULL DEFAULT ''
);
ALTER TABLE postback_purge ADD COLUMN as_of TEXT;
ALTER TABLE postback_purge ADD COLUMN gaps TEXT NOT NULL DEFAULT '';
ALTER TABLE postback_purge ADD COLUMN swept_id INTEGER NOT NULL DEFAULT 0;
)sql";

// conversion_id is part of every unique key of the conversions, so that the table can later be
// distributed by it. postback_stats: one row per minute and writer, so that writers never wait for
// each other's row locks; fillfactor leaves room for updates in place (HOT). Old rows are merged by
// the purge: then `minute` is the start of an hour or a UTC day, and `writer` is 0
// (src/retention/stats_merge.h).
constexpr const char* kPostgres[] = {R"sql(
CREATE TABLE IF NOT EXISTS partner_conversions (
  id bigint NOT NULL,
  partner_id integer NOT NULL,
  conversion_id varchar(255) NOT NULL,
  offer_id varchar(50),
  offer_name text,
  conversion_datetime timestamptz,
  usd_sale_amount numeric,
  usd_earning numeric,
  media_id varchar(255),
  sub_id varchar(255),
  click_id varchar(255),
  is_processed boolean NOT NULL DEFAULT false,
  is_duplicate boolean NOT NULL DEFAULT false,
  processing_error text,
  raw_data json,
  request_headers json,
  request_ip varchar(45),
  received_at timestamptz NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (id, conversion_id)
);
CREATE UNIQUE INDEX IF NOT EXISTS partner_conversions_once
  ON partner_conversions (conversion_id, partner_id) WHERE NOT is_duplicate;
CREATE TABLE IF NOT EXISTS postback_quarantine (
  id bigint NOT NULL PRIMARY KEY,
  partner_id integer NOT NULL,
  received_at timestamptz NOT NULL,
  reason varchar(50) NOT NULL,
  field text,
  message text NOT NULL,
  conversion_id varchar(255),
  method varchar(10),
  target text,
  raw_data json,
  request_headers json,
  body bytea,
  request_ip varchar(45),
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS postback_stats (
  partner_id integer NOT NULL,
  minute timestamptz NOT NULL,
  writer bigint NOT NULL,
  conversion_count bigint NOT NULL DEFAULT 0,
  duplicate_count bigint NOT NULL DEFAULT 0,
  quarantined_count bigint NOT NULL DEFAULT 0,
  sale_amount numeric NOT NULL DEFAULT 0,
  earning numeric NOT NULL DEFAULT 0,
  first_conversion_at timestamptz,
  last_conversion_at timestamptz,
  PRIMARY KEY (partner_id, minute, writer)
) WITH (fillfactor = 50);
)sql",
                                     kPostgresPurge, kPostgresIdentity};

// SQLite: decimals are exact text; times are ISO 8601 UTC text with six decimals, which sorts by
// time. `id` is the rowid, so rows are appended in order and paged by it.
constexpr const char* kSqlite[] = {R"sql(
CREATE TABLE IF NOT EXISTS partner_conversions (
  id INTEGER PRIMARY KEY,
  partner_id INTEGER NOT NULL,
  conversion_id TEXT NOT NULL,
  offer_id TEXT,
  offer_name TEXT,
  conversion_datetime TEXT,
  usd_sale_amount TEXT,
  usd_earning TEXT,
  media_id TEXT,
  sub_id TEXT,
  click_id TEXT,
  is_processed INTEGER NOT NULL DEFAULT 0,
  is_duplicate INTEGER NOT NULL DEFAULT 0,
  processing_error TEXT,
  raw_data TEXT,
  request_headers TEXT,
  request_ip TEXT,
  received_at TEXT NOT NULL,
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS partner_conversions_once
  ON partner_conversions (conversion_id, partner_id) WHERE is_duplicate = 0;
-- With the rowid that every index entry ends in: a partner's rows, oldest to newest. Keeps pages of
-- conversions quick when several partners share one file.
CREATE INDEX IF NOT EXISTS partner_conversions_newest ON partner_conversions (partner_id);
CREATE TABLE IF NOT EXISTS postback_quarantine (
  id INTEGER PRIMARY KEY,
  partner_id INTEGER NOT NULL,
  received_at TEXT NOT NULL,
  reason TEXT NOT NULL,
  field TEXT,
  message TEXT NOT NULL,
  conversion_id TEXT,
  method TEXT,
  target TEXT,
  raw_data TEXT,
  request_headers TEXT,
  body BLOB,
  request_ip TEXT,
  created_at TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS postback_stats (
  partner_id INTEGER NOT NULL,
  minute TEXT NOT NULL,
  writer INTEGER NOT NULL,
  conversion_count INTEGER NOT NULL DEFAULT 0,
  duplicate_count INTEGER NOT NULL DEFAULT 0,
  quarantined_count INTEGER NOT NULL DEFAULT 0,
  sale_amount TEXT NOT NULL DEFAULT '0',
  earning TEXT NOT NULL DEFAULT '0',
  first_conversion_at TEXT,
  last_conversion_at TEXT,
  PRIMARY KEY (partner_id, minute, writer)
) WITHOUT ROWID;
)sql",
                                   kSqlitePurge, kSqliteIdentity};

static_assert(std::size(kPostgres) == kSchemaVersion);
static_assert(std::size(kSqlite) == kSchemaVersion);

}  // namespace

std::span<const char* const> postgres_migrations() {
  return kPostgres;
}
std::span<const char* const> sqlite_migrations() {
  return kSqlite;
}

}  // namespace postback::store
