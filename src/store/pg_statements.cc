#include "store/pg_statements.h"

#include "postback/store.h"

namespace postback::store {
namespace {

// Adding to the row of (partner, minute, writer). `s` is the row that is there.
#define ADD_TO_STATS                                                                   \
  " ON CONFLICT (partner_id, minute, writer) DO UPDATE SET"                            \
  " conversion_count = s.conversion_count + excluded.conversion_count,"                \
  " duplicate_count = s.duplicate_count + excluded.duplicate_count,"                   \
  " quarantined_count = s.quarantined_count + excluded.quarantined_count,"             \
  " sale_amount = s.sale_amount + excluded.sale_amount,"                               \
  " earning = s.earning + excluded.earning,"                                           \
  " first_conversion_at = least(s.first_conversion_at, excluded.first_conversion_at)," \
  " last_conversion_at = greatest(s.last_conversion_at, excluded.last_conversion_at)"

// Amounts and JSON travel as text and are cast: PostgreSQL's binary numeric would have to be
// computed here, and its text form is exact as well. Each unnest() in a select list gives its next
// element for each row (PostgreSQL's manual, 38.5.9); in FROM, PostgreSQL would first write each
// array into a table of its own, a fifth of the statement's time.
#define INSERT_CONVERSIONS                                                                         \
  "INSERT INTO partner_conversions (id, partner_id, conversion_id, offer_id, offer_name,"          \
  " conversion_datetime, usd_sale_amount, usd_earning, media_id, sub_id, click_id,"                \
  " processing_error, raw_data, request_headers, request_ip, received_at, created_at, updated_at)" \
  " SELECT u.id, $1::int4, u.conversion_id, u.offer_id, u.offer_name, u.conversion_datetime,"      \
  " u.usd_sale_amount::numeric, u.usd_earning::numeric, u.media_id, u.sub_id, u.click_id,"         \
  " u.processing_error, u.raw_data::json, u.request_headers::json, u.request_ip, u.received_at,"   \
  " u.received_at, u.received_at"                                                                  \
  " FROM (SELECT unnest($2::int8[]) AS id, unnest($3::text[]) AS conversion_id,"                   \
  " unnest($4::text[]) AS offer_id, unnest($5::text[]) AS offer_name,"                             \
  " unnest($6::timestamptz[]) AS conversion_datetime, unnest($7::text[]) AS usd_sale_amount,"      \
  " unnest($8::text[]) AS usd_earning, unnest($9::text[]) AS media_id,"                            \
  " unnest($10::text[]) AS sub_id, unnest($11::text[]) AS click_id,"                               \
  " unnest($12::text[]) AS processing_error, unnest($13::text[]) AS raw_data,"                     \
  " unnest($14::text[]) AS request_headers, unnest($15::text[]) AS request_ip,"                    \
  " unnest($16::timestamptz[]) AS received_at) AS u"

constexpr PgStatement kWriter[] = {
    // All ids are believed new: no conflict clause, half again as fast. A unique violation fails
    // the batch, which is then repeated with the next statement.
    {kInsertPlain, INSERT_CONVERSIONS},

    // Stores each row unless its conversion is there, and counts those stored.
    {kInsertOnce,
     "WITH inserted AS (" INSERT_CONVERSIONS
     " ON CONFLICT (conversion_id, partner_id) WHERE NOT is_duplicate DO NOTHING"
     " RETURNING received_at, usd_sale_amount, usd_earning)"
     " INSERT INTO postback_stats AS s (partner_id, minute, writer, conversion_count, sale_amount,"
     " earning, first_conversion_at, last_conversion_at)"
     " SELECT $1::int4, date_trunc('minute', received_at), $17::int8, count(*),"
     " coalesce(sum(usd_sale_amount), 0), coalesce(sum(usd_earning), 0), min(received_at),"
     " max(received_at) FROM inserted GROUP BY 2" ADD_TO_STATS},

    // After insert_once, in the same transaction: which rows of the batch ($3: their ids, $5:
    // their conversion ids) are stored under our own id, by this attempt or by an earlier one
    // whose answer was lost. Both are compared: another server may have made the same id in the
    // same microsecond. The others are duplicates, counted under minute $4. A statement of its
    // own, because only a new snapshot sees rows that were committed while insert_once waited.
    // LIMIT keeps it a look at the primary key for each row: as a join, the planner, which knows
    // nothing of a table that grew since it was last analyzed, compares each row with all of it.
    {kFindStored,
     "WITH own AS (SELECT u.position FROM unnest($3::int8[], $5::text[]) WITH ORDINALITY"
     " AS u(id, conversion_id, position)"
     " CROSS JOIN LATERAL (SELECT 1 FROM partner_conversions p WHERE p.id = u.id"
     " AND p.conversion_id = u.conversion_id AND p.partner_id = $1::int4 LIMIT 1) AS found),"
     " counted AS (INSERT INTO postback_stats AS s (partner_id, minute, writer, duplicate_count)"
     " SELECT $1::int4, $4::timestamptz, $2::int8, cardinality($3::int8[]) - count(*) FROM own"
     " HAVING cardinality($3::int8[]) > count(*)" ADD_TO_STATS ") SELECT position FROM own"},

    // A repeated batch finds its rows by id and counts them once.
    {kInsertQuarantine,
     "WITH inserted AS (INSERT INTO postback_quarantine (id, partner_id, received_at, reason,"
     " field, message, conversion_id, method, target, raw_data, request_headers, body, request_ip,"
     " created_at) SELECT u.id, $1::int4, u.received_at, u.reason, u.field, u.message,"
     " u.conversion_id, u.method, u.target, u.raw_data::json, u.request_headers::json, u.body,"
     " u.request_ip, u.received_at FROM unnest($3::int8[], $4::timestamptz[], $5::text[],"
     " $6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[],"
     " $13::bytea[], $14::text[]) AS u(id, received_at, reason, field, message, conversion_id,"
     " method, target, raw_data, request_headers, body, request_ip)"
     " ON CONFLICT (id) DO NOTHING RETURNING received_at)"
     " INSERT INTO postback_stats AS s (partner_id, minute, writer, quarantined_count)"
     " SELECT $1::int4, date_trunc('minute', received_at), $2::int8, count(*) FROM inserted"
     " GROUP BY 2" ADD_TO_STATS},

    // Sums that were computed here, of one minute: a batch spans one, seldom two, and a replayed
    // one as many as its postbacks came in.
    {kAddStats,
     "INSERT INTO postback_stats AS s (partner_id, minute, writer, conversion_count,"
     " duplicate_count, sale_amount, earning, first_conversion_at, last_conversion_at)"
     " VALUES ($1::int4, $2::timestamptz, $3::int8, $4::int8, $5::int8, $6::text::numeric,"
     " $7::text::numeric, $8::timestamptz, $9::timestamptz)" ADD_TO_STATS},
};

#define MICROSECONDS(column) "(extract(epoch FROM " column ") * 1000000)::int8"

#define PAGE_ROWS                                                                         \
  "p.partner_id = $1::int4 AND p.purged_at IS NULL AND p.id >= coalesce((SELECT floor_id" \
  " FROM postback_purge WHERE partner_id = $1::int4), 0)"
#define PAGE_ROW_BYTES                                                                 \
  "(400 + octet_length(p.conversion_id) + coalesce(octet_length(p.offer_id), 0)"       \
  " + coalesce(octet_length(p.offer_name), 0) + coalesce(octet_length(p.media_id), 0)" \
  " + coalesce(octet_length(p.sub_id), 0) + coalesce(octet_length(p.click_id), 0)"     \
  " + coalesce(octet_length(p.processing_error), 0)"                                   \
  " + coalesce(octet_length(p.raw_data::text), 0))"
static_assert(kPageRowOwnBytes == 400);

constexpr PgStatement kReader[] = {
    {kReadStats,
     "SELECT coalesce(sum(conversion_count), 0)::int8, coalesce(sum(duplicate_count), 0)::int8,"
     " coalesce(sum(quarantined_count), 0)::int8, coalesce(sum(sale_amount), 0),"
     " coalesce(sum(earning), 0), " MICROSECONDS("min(first_conversion_at)") ", " MICROSECONDS(
         "max(last_conversion_at)") " FROM postback_stats WHERE partner_id = $1::int4 AND minute "
                                    ">= $2::timestamptz"},

    // Walks the primary key (id, conversion_id) downwards: first a few rows at a time, only
    // measuring them, until there are $3 rows or they take $4 bytes (page_row_bytes()), then reads
    // so far, a few rows too much at most (take_conversions() leaves them out). Without the
    // measuring a page of large rows would be some hundred MB in this process. Several partners may
    // share a database; then rows of the others are stepped over. An index on (partner_id, id)
    // would avoid that and cost every insert a third index, for a page that people look at now and
    // then, in a layout that is not the default (each partner has its own database): read_ms bounds
    // the walk. It ends where everything is purged: without that bound the last page of a partner
    // would step over a year of purged rows.
    {kReadConversions,
     "WITH RECURSIVE walk AS (SELECT $2::int8 AS from_id, 0::int8 AS row_count, 0::int8 AS bytes"
     " UNION ALL"
     " SELECT part.from_id, walk.row_count + part.row_count, walk.bytes + part.bytes"
     " FROM walk CROSS JOIN LATERAL (SELECT min(p.id) AS from_id, count(*) AS row_count,"
     " sum(" PAGE_ROW_BYTES ") AS bytes FROM (SELECT * FROM partner_conversions p"
     " WHERE p.id < walk.from_id AND " PAGE_ROWS
     " ORDER BY p.id DESC LIMIT least($3::int8, 32)) AS p) AS part"
     " WHERE walk.row_count < $3::int8 AND walk.bytes < $4::int8 AND part.row_count > 0)"
     " SELECT id, conversion_id, offer_id, offer_name, media_id, sub_id, click_id,"
     " usd_sale_amount, usd_earning, " MICROSECONDS(
         "conversion_datetime") ","
                                " processing_error, raw_data, is_processed, "
                                "is_duplicate, " MICROSECONDS(
                                    "received_at") " FROM partner_conversions p WHERE p.id < "
                                                   "$2::int8 AND " PAGE_ROWS
                                                   " ORDER BY p.id DESC LIMIT least($3::int8, "
                                                   "(SELECT max(row_count) FROM walk))"},
};

#undef ADD_TO_STATS
#undef INSERT_CONVERSIONS
#undef MICROSECONDS
#undef PAGE_ROWS
#undef PAGE_ROW_BYTES

}  // namespace

std::span<const PgStatement> pg_writer_statements() {
  return kWriter;
}
std::span<const PgStatement> pg_reader_statements() {
  return kReader;
}

}  // namespace postback::store
