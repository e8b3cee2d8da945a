// Table `partners`: rows to partners and back. Blocking; see sql_client.h for threads.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "partner/effective_url.h"
#include "partner/sql_client.h"
#include "postback/partner.h"

namespace postback::partner {

// A row whose fields could not be understood or are wrong: somebody changed it with SQL.
struct BadPartner {
  int64_t id = 0;
  std::string partner_code;  // Printable; may be anything.
  std::string error;         // "parameter_mapping: not JSON …".
};

struct Partners {
  std::vector<Partner> partners;  // Complete, with effective_database_url; ordered by id.
  std::vector<BadPartner> bad;
};

// All rows as they are, columns in the order of partner_fields(), ordered by id.
base::Result<std::vector<SqlRow>> read_partner_rows(SqlClient* client);
// A checked partner with its effective_database_url, or what is wrong with the row.
base::Result<Partner> partner_from_row(const SqlRow& row, const DatabaseHome& home);
// The row that partner_from_row() makes this partner of, without its effective_database_url.
SqlRow partner_to_row(const Partner& partner);
// The value of a row's column.
std::string row_text(const SqlRow& row, std::string_view field);

// A wrong row is set aside in `bad` and never stops the others.
base::Result<Partners> load_partners(SqlClient* client, const DatabaseHome& home);

// Inserts `partner`. Code and path must be free. The database gives its times, and an id that was
// never used, unless a partner with this code was removed before: then its id comes back.
// These three are several statements each; the caller has them in a transaction that shuts other
// writers out.
base::Status insert_partner(SqlClient* client, const Partner& partner);
// Writes every field of the row partner.id and sets updated_at.
base::Status update_partner(SqlClient* client, const Partner& partner);
base::Status delete_partner(SqlClient* client, int64_t id);

}  // namespace postback::partner
