// postbackctl quarantine retry
#include <map>
#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

#include "base/json_writer.h"
#include "command.h"
#include "journal_ids.h"
#include "postback/decimal.h"
#include "postback/reason.h"
#include "quarantine_choice.h"
#include "quarantine_mover.h"
#include "quarantine_replay.h"
#include "quarantine_rows.h"

namespace postback::postbackctl {
namespace {

using base::Result;
using base::Status;
using partner::SqlClient;

// What became, or would become, of a partner's rows. row_count is the sum of the other counts.
struct RetryReport {
  int64_t row_count = 0;
  int64_t stored_count = 0;
  Decimal sale_amount;  // Of those stored, exact.
  Decimal earning;
  int64_t duplicate_count = 0;
  int64_t gone_count = 0;                  // Taken by another retry at the same time.
  std::map<std::string, int64_t> staying;  // By today's reason.
  std::string refusal;                     // What the database said to the first it refused.
};

class PartnerRetry {
 public:
  PartnerRetry(const Partner& partner, const QuarantineQuery& query, const JournalIds& journal,
               bool dry_run)
      : partner_(partner), query_(query), journal_(journal), dry_run_(dry_run) {}

  // Not ok: the report holds what was done until then, and the rest is as it was.
  Status run() {
    Result<std::unique_ptr<SqlClient>> client =
        open_quarantine(partner_, dry_run_ ? partner::SqlMode::read : partner::SqlMode::guest);
    if (!client.ok()) return client.status();
    if (client.value() == nullptr) return Status();
    client_ = client.take();
    mover_ = std::make_unique<QuarantineMover>(client_.get(), partner_.id);
    Status status = mover_->check_schema();
    if (!status.ok()) return status;
    Result<std::unique_ptr<QuarantineReplay>> replay = QuarantineReplay::make(partner_);
    if (!replay.ok()) return replay.status();
    replay_ = replay.take();
    return run_pages();
  }

  const RetryReport& report() const { return report_; }

 private:
  Status run_pages() {
    query_.after_id = -1;  // Below every id.
    query_.limit = kQuarantinePageRows;
    for (;;) {
      Result<std::vector<QuarantineRow>> rows =
          read_quarantine_rows(client_.get(), partner_, query_);
      if (!rows.ok()) return rows.status();
      const Status status = run_page(rows.value());
      if (!status.ok()) return status;
      if (rows.value().size() < static_cast<size_t>(query_.limit)) return Status();
      query_.after_id = rows.value().back().id;
    }
  }

  Status run_page(const std::vector<QuarantineRow>& rows) {
    std::vector<Conversion> conversions(rows.size());
    std::vector<Move> moves;
    for (size_t i = 0; i < rows.size(); ++i) {
      const std::string reason =
          journal_.holds(rows[i].id) ? kStaysInJournal : replay_->replay(rows[i], &conversions[i]);
      if (reason.empty()) {
        moves.push_back({&conversions[i], MoveResult::pending});
      } else {
        ++report_.row_count;
        ++report_.staying[reason];
      }
    }
    if (moves.empty()) return Status();
    return dry_run_ ? foresee(moves) : move(std::move(moves));
  }

  Status move(std::vector<Move> moves) {
    bool refused = false;
    Status status = mover_->move(&moves, &refused);
    if (status.ok()) {
      for (const Move& move : moves) count(move);
      return status;
    }
    if (!refused) return status;
    if (moves.size() == 1) {
      // It stays, with the reason that it would get from a server.
      ++report_.row_count;
      ++report_.staying[std::string(reason_name(Reason::database_refused))];
      if (report_.refusal.empty()) report_.refusal = status.message();
      return Status();
    }
    // One of them is refused: each by itself.
    for (const Move& move : moves) {
      status = this->move({{move.conversion, MoveResult::pending}});
      if (!status.ok()) return status;
    }
    return Status();
  }

  // What move() would do. Keeps the ids of this run, which are not in the table.
  Status foresee(std::vector<Move>& moves) {
    for (Move& move : moves) {
      const std::string id(move.conversion->text(Field::conversion_id));
      Result<bool> stored = mover_->is_stored(id);
      if (!stored.ok()) return stored.status();
      const bool repeats = stored.value() || !foreseen_ids_.insert(id).second;
      move.result = repeats ? MoveResult::duplicate : MoveResult::stored;
      count(move);
    }
    return Status();
  }

  void count(const Move& move) {
    ++report_.row_count;
    switch (move.result) {
      case MoveResult::pending:
        CHECK(false);
        break;
      case MoveResult::stored:
        ++report_.stored_count;
        if (move.conversion->usd_sale_amount) {
          report_.sale_amount.add(*move.conversion->usd_sale_amount);
        }
        if (move.conversion->usd_earning) report_.earning.add(*move.conversion->usd_earning);
        break;
      case MoveResult::duplicate:
        ++report_.duplicate_count;
        break;
      case MoveResult::gone:
        ++report_.gone_count;
        break;
    }
  }

  const Partner& partner_;
  QuarantineQuery query_;
  const JournalIds& journal_;
  bool dry_run_;
  std::unique_ptr<SqlClient> client_;
  std::unique_ptr<QuarantineMover> mover_;
  std::unique_ptr<QuarantineReplay> replay_;
  std::unordered_set<std::string> foreseen_ids_;
  RetryReport report_;
};

std::string counted(int64_t count, const char* one, const char* many) {
  return std::to_string(count) + " " + (count == 1 ? one : many);
}

std::string report_text(const std::string& partner, const RetryReport& report, bool dry_run) {
  std::string text =
      partner + ": " + counted(report.row_count, "row", "rows") + " in quarantine; " +
      counted(report.stored_count, "conversion", "conversions") +
      (dry_run ? " would be stored" : " stored") + " (usd_sale_amount " +
      report.sale_amount.to_string() + ", usd_earning " + report.earning.to_string() + "), " +
      counted(report.duplicate_count, "duplicate", "duplicates") +
      (dry_run ? " would be removed" : " removed");
  if (report.gone_count > 0) {
    text += ", " + std::to_string(report.gone_count) + " taken by another retry";
  }
  std::string reasons;
  int64_t staying_count = 0;
  for (const auto& [reason, count] : report.staying) {
    reasons += (reasons.empty() ? " (" : ", ") + reason + " " + std::to_string(count);
    staying_count += count;
  }
  text += ", " + std::to_string(staying_count) + (dry_run ? " would stay" : " stay");
  return text + reasons + (reasons.empty() ? "\n" : ")\n");
}

void append_count(std::string* json, const char* name, int64_t count) {
  json->push_back(',');
  base::append_json_name(json, name);
  base::append_integer(json, count);
}

std::string report_json(const std::string& partner, const RetryReport& report) {
  std::string json = "{\"partner\":";
  base::append_json_string(&json, partner);
  append_count(&json, "rows", report.row_count);
  append_count(&json, "stored", report.stored_count);
  json += ",\"usd_sale_amount\":" + report.sale_amount.to_string();
  json += ",\"usd_earning\":" + report.earning.to_string();
  append_count(&json, "duplicates", report.duplicate_count);
  append_count(&json, "taken_by_another", report.gone_count);
  json += ",\"staying\":{";
  for (const auto& [reason, count] : report.staying) {
    if (!json.ends_with('{')) json += ',';
    base::append_json_string(&json, reason);
    json += ':' + std::to_string(count);
  }
  return json + "}}";
}

Result<QuarantineQuery> query_of(const Invocation& invocation) {
  QuarantineQuery query;
  query.reason = invocation.reason;
  if (query.reason.has_value()) {
    Status status = check_reason(*query.reason);
    if (!status.ok()) return status;
  }
  if (invocation.id.has_value()) {
    Result<int64_t> id = quarantine_id(*invocation.id);
    if (!id.ok()) return id.status();
    query.id = id.value();
  }
  return query;
}

}  // namespace

int run_quarantine_retry(const Invocation& invocation) {
  Result<QuarantineQuery> query = query_of(invocation);
  if (!query.ok()) return fail(query.status().message(), kUsage);
  bool complete = true;
  Result<std::vector<Partner>> partners = chosen_partners(invocation, &complete);
  if (!partners.ok()) return fail(partners.status().message());
  Result<JournalIds> journal = JournalIds::load(invocation.settings);
  if (!journal.ok()) {
    return fail(journal.status().message() +
                "; run this as the user of the server, with its "
                "DATA_DIR, or with another DATA_DIR if it has no "
                "journal here");
  }
  std::string text;
  std::string json;
  for (const Partner& partner : partners.value()) {
    PartnerRetry retry(partner, query.value(), journal.value(), invocation.dry_run);
    const Status status = retry.run();
    const RetryReport& report = retry.report();
    if (report.row_count > 0) {
      text += report_text(partner.partner_code, report, invocation.dry_run);
      json += (json.empty() ? "" : ",\n ") + report_json(partner.partner_code, report);
    }
    if (!report.refusal.empty()) {
      warn("partner " + partner.partner_code + ", first row refused: " + report.refusal);
    }
    complete = complete && status.ok() && report.refusal.empty();
    if (!status.ok()) {
      warn("partner " + partner.partner_code + " is not done: " + status.message());
    }
  }
  if (text.empty() && query.value().id.has_value() && complete) {
    return fail("no quarantined postback has the id " + *invocation.id +
                "; postbackctl quarantine list shows those there are");
  }
  if (invocation.json) {
    print(std::string("{\"dry_run\":") + (invocation.dry_run ? "true" : "false") +
          ",\"partners\":[" + json + "]}\n");
  } else {
    print(text.empty() ? "nothing in quarantine\n" : text);
  }
  return complete ? kOk : kFailed;
}

}  // namespace postback::postbackctl
