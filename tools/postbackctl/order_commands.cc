// postbackctl journal assign and discard: what is to become of records that go nowhere. Both write
// an order into the journal's folder (journal/orders.h) and touch no record: a running server
// follows it, or the next one that starts. So they may be run beside a server, and whoever kills
// one finds the order given or not.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>

#include "base/json_writer.h"
#include "base/printable.h"
#include "base/time.h"
#include "ingest/owner_routes.h"
#include "journal/orders.h"
#include "journal_parts.h"

namespace postback::postbackctl {
namespace {

using base::Result;
using base::Status;
using journal::Order;
using journal::Owner;
using journal::Recovered;
using partner::PartnerTable;

// The held records of one owner.
struct Held {
  Owner owner;
  std::string reason;
  uint64_t records = 0;
  uint64_t quarantined = 0;
  Decimal sale_amount;  // Of the conversions among them, exact.
  Decimal earning;
  int64_t oldest_us = INT64_MAX;
  int64_t newest_us = INT64_MIN;
};

// Every undrained record of these owners in front of the order's end, in the journal's order.
Status visit_records(const std::string& folder, const Recovered& found, std::vector<Held>* held,
                     const std::function<Status(const journal::Reader&, Held*)>& visit) {
  journal::ReaderOptions options;
  options.frames.disk = &journal::real_disk();
  options.frames.folder = folder;
  for (const journal::SegmentSummary& segment : found.segments) {
    options.frames.segments.push_back(segment.number);
  }
  options.frames.checkpoint = found.checkpoint.checkpoint;
  options.frames.last_lsn = found.next_lsn - 1;
  journal::Reader reader(std::move(options));
  for (auto step = reader.next(); step != journal::ReaderStep::end; step = reader.next()) {
    if (step == journal::ReaderStep::failed) return reader.status();
    if (step == journal::ReaderStep::gap) {
      warn("gap: " + journal::gap_text(reader.gap()));
      continue;
    }
    const auto owner = std::find_if(held->begin(), held->end(), [&](const Held& candidate) {
      return candidate.owner == reader.owner();
    });
    if (owner == held->end()) continue;
    const Status status = visit(reader, &*owner);
    if (!status.ok()) return status;
  }
  return Status();
}

Status add_up(const journal::Reader& reader, Held* held) {
  const Conversion& conversion = reader.conversion();
  ++held->records;
  held->oldest_us = std::min(held->oldest_us, conversion.received_at_us);
  held->newest_us = std::max(held->newest_us, conversion.received_at_us);
  if (conversion.reason != Reason::none) {
    ++held->quarantined;
    return Status();
  }
  if (conversion.usd_sale_amount) held->sale_amount.add(*conversion.usd_sale_amount);
  if (conversion.usd_earning) held->earning.add(*conversion.usd_earning);
  return Status();
}

// The owners of this name whose records are held, or why there are none.
Result<std::vector<Held>> find_held(const Recovered& found, const PartnerTable& table,
                                    const std::string& name) {
  std::vector<Held> held;
  std::string others;
  std::string known;
  for (const auto& [owner, records] : found.undrained_by_owner) {
    if (records == 0) continue;
    const std::string own_name = journal::owner_name(owner);
    const OwnerState state = state_of(found, owner, &table);
    if (own_name != name) {
      known += (known.empty() ? "" : ", ") + own_name;
    } else if (state.word != "held") {
      others += "; those of " + journal::owner_text(owner) + " are not held: " + state.word +
                (state.detail.empty() ? "" : " " + state.detail);
    } else if (journal::assignment_of(found.orders, owner, found.checkpoint.checkpoint)) {
      others += "; those of " + journal::owner_text(owner) +
                " are assigned already, and some may have arrived";
    } else {
      Held entry;
      entry.owner = owner;
      entry.reason = state.reason;
      held.push_back(std::move(entry));
    }
  }
  if (!held.empty()) return held;
  return Status::error("the journal holds no records of " + base::printable(name, 60) +
                       " that go nowhere" + others +
                       (known.empty() ? "" : "; it has undrained records of: " + known));
}

std::string time_text(int64_t time_us) {
  std::string text;
  base::append_iso8601(&text, time_us);
  return text;
}

std::string held_text(const Held& held) {
  return std::to_string(held.records) + " records of " + journal::owner_text(held.owner) + ", " +
         held.reason + ", received " + time_text(held.oldest_us) + " to " +
         time_text(held.newest_us) + ": " + std::to_string(held.records - held.quarantined) +
         " conversions, sale amount " + held.sale_amount.to_string() + ", earning " +
         held.earning.to_string() + "; " + std::to_string(held.quarantined) +
         " quarantined postbacks\n";
}

std::string held_json(const std::vector<Held>& held, bool done) {
  std::string json = std::string("{\"ordered\":") + (done ? "true" : "false") + ",\"records\":[";
  for (const Held& entry : held) {
    if (json.back() != '[') json += ",";
    json += "{\"partner\":";
    base::append_json_string(&json, journal::owner_name(entry.owner));
    json += ",\"partner_id\":" + std::to_string(entry.owner.partner_id);
    if (entry.owner.has_registry()) {
      json += ",\"registry_id\":\"" + base::uuid_text(entry.owner.registry) + "\"";
    }
    json += ",\"reason\":\"" + entry.reason + "\"";
    json += ",\"records\":" + std::to_string(entry.records);
    json += ",\"quarantined\":" + std::to_string(entry.quarantined);
    json += ",\"usd_sale_amount\":\"" + entry.sale_amount.to_string() + "\"";
    json += ",\"usd_earning\":\"" + entry.earning.to_string() + "\"}";
  }
  return json + "]}\n";
}

// What both commands do first: the held records of this name, counted.
struct Look {
  Recovered found;
  std::shared_ptr<const PartnerTable> table;
  std::vector<Held> held;
};
Result<Look> look_for(const Invocation& invocation, const std::string& name) {
  Look look;
  Result<Recovered> found = look_at_journal(invocation);
  if (!found.ok()) return found.status();
  look.found = found.take();
  if (!look.found.orders_error.empty()) return Status::error(look.found.orders_error);
  auto table = read_table(invocation.settings);
  if (!table.ok()) return table.status();
  look.table = table.take();
  Result<std::vector<Held>> held = find_held(look.found, *look.table, name);
  if (!held.ok()) return held.status();
  look.held = held.take();
  const Status read = visit_records(journal_folder(invocation), look.found, &look.held, add_up);
  if (!read.ok()) return read;
  return look;
}

Status give_orders(const Invocation& invocation, const Look& look, Order::Kind kind,
                   const Owner& to) {
  uint64_t first_lsn = look.found.next_lsn;
  for (const journal::SegmentSummary& segment : look.found.segments) {
    if (segment.first_lsn != 0) first_lsn = std::min(first_lsn, segment.first_lsn);
  }
  std::vector<Order> orders = journal::open_orders(look.found.orders, first_lsn);
  for (const Held& held : look.held) {
    orders.push_back({kind, held.owner, to, look.found.next_lsn, held.records});
  }
  return journal::store_orders(&journal::real_disk(), journal_folder(invocation), orders);
}

Result<std::unique_ptr<journal::Lock>> lock_orders(const Invocation& invocation) {
  std::unique_ptr<journal::Lock> lock;
  const std::string path = journal_folder(invocation) + "/" + journal::kOrdersLockName;
  const int error = journal::real_disk().lock(path, &lock);
  if (error == -EWOULDBLOCK) {
    return Status::error("another postbackctl is giving orders about this journal; try again");
  }
  if (error != 0) return journal::disk_error("lock", path, error);
  return lock;
}

int tell(const Invocation& invocation, const Look& look, const std::string& what) {
  if (invocation.json) {
    print(held_json(look.held, invocation.yes));
    return kOk;
  }
  for (const Held& held : look.held) print(held_text(held));
  print(invocation.yes
            ? what + "; a running server does it within two seconds, otherwise the next start\n"
            : "nothing was changed; do it with --yes\n");
  return kOk;
}

// A file of its own that is on the disk when this returns.
class ExportFile {
 public:
  explicit ExportFile(std::string path) : path_(std::move(path)) {}
  ~ExportFile() {
    if (file_ >= 0) ::close(file_);
  }
  ExportFile(const ExportFile&) = delete;
  ExportFile& operator=(const ExportFile&) = delete;

  Status open() {
    file_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    return file_ < 0 ? failed("make") : Status();
  }
  Status write(std::string_view text) {
    while (!text.empty()) {
      const ssize_t done = ::write(file_, text.data(), text.size());
      if (done < 0) return failed("write");
      text.remove_prefix(static_cast<size_t>(done));
    }
    return Status();
  }
  Status sync() {
    if (::fsync(file_) != 0) return failed("sync");
    const size_t slash = path_.rfind('/');
    const std::string folder = slash == std::string::npos ? "." : path_.substr(0, slash + 1);
    const int error = journal::real_disk().sync_folder(folder);
    return error == 0 ? Status() : journal::disk_error("sync folder", folder, error);
  }

 private:
  Status failed(const char* what) const {
    return Status::error(std::string("cannot ") + what + " " + base::printable(path_) + ": " +
                         std::strerror(errno) + "; nothing was discarded");
  }

  const std::string path_;
  int file_ = -1;
};

Status export_held(const Invocation& invocation, Look* look) {
  ExportFile file(*invocation.export_path);
  Status status = file.open();
  if (!status.ok()) return status;
  status = visit_records(
      journal_folder(invocation), look->found, &look->held,
      [&](const journal::Reader& reader, Held*) { return file.write(record_json(reader)); });
  return status.ok() ? file.sync() : status;
}

}  // namespace

int run_journal_assign(const Invocation& invocation) {
  if (!invocation.from || !invocation.to) {
    return fail("journal assign needs --from CODE and --to CODE", kUsage);
  }
  std::unique_ptr<journal::Lock> lock;
  if (invocation.yes) {
    auto locked = lock_orders(invocation);
    if (!locked.ok()) return fail(locked.status().message());
    lock = locked.take();
  }
  Result<Look> look = look_for(invocation, *invocation.from);
  if (!look.ok()) return fail(look.status().message());
  const auto& entries = look.value().table->entries();
  const auto to = std::find_if(entries.begin(), entries.end(), [&](const auto& entry) {
    return entry->partner.partner_code == *invocation.to;
  });
  if (to == entries.end()) {
    return fail("no partner has the code '" + base::printable(*invocation.to, 60) +
                "'; postbackctl partner list shows those there are");
  }
  const Owner target = ingest::owner_of((*to)->partner);
  if (!target.has_registry()) {
    return fail(
        "the control database is an older program's; start the server once, or run: "
        "postbackctl init");
  }
  if (invocation.yes) {
    const Status given = give_orders(invocation, look.value(), Order::Kind::assign, target);
    if (!given.ok()) return fail(given.message());
  }
  return tell(invocation, look.value(), "they go to " + journal::owner_text(target));
}

int run_journal_discard(const Invocation& invocation) {
  if (!invocation.partner) return fail("journal discard needs --partner CODE", kUsage);
  if (invocation.yes && !invocation.export_path) {
    return fail("journal discard --yes needs --export FILE: the records are written there first",
                kUsage);
  }
  std::unique_ptr<journal::Lock> lock;
  if (invocation.yes) {
    auto locked = lock_orders(invocation);
    if (!locked.ok()) return fail(locked.status().message());
    lock = locked.take();
  }
  Result<Look> look = look_for(invocation, *invocation.partner);
  if (!look.ok()) return fail(look.status().message());
  std::string what;
  if (invocation.yes) {
    const Status kept = export_held(invocation, &look.value());
    if (!kept.ok()) return fail(kept.message());
    const Status given = give_orders(invocation, look.value(), Order::Kind::discard, {});
    if (!given.ok()) return fail(given.message());
    what = "they are in " + base::printable(*invocation.export_path) + " and are given up";
  }
  return tell(invocation, look.value(), what);
}

}  // namespace postback::postbackctl
