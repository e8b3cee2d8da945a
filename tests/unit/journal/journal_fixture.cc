#include "journal_fixture.h"

#include <algorithm>

#include "base/check.h"

namespace postback::journal {

Conversion make_conversion(int64_t id, int32_t partner_id) {
  Conversion conversion;
  conversion.id = id;
  conversion.partner_id = partner_id;
  conversion.received_at_us = 1'700'000'000'000'000 + id;
  conversion.set(Field::conversion_id, "conversion-" + std::to_string(id));
  conversion.set(Field::raw_data, "{\"id\":\"" + std::to_string(id) + "\"}");
  conversion.usd_earning = Decimal{995, 2};
  return conversion;
}

Conversion random_conversion(std::mt19937_64* random) {
  const auto below = [random](uint64_t bound) { return (*random)() % bound; };
  Conversion conversion;
  conversion.id = static_cast<int64_t>((*random)());
  conversion.partner_id = static_cast<int32_t>((*random)());
  conversion.received_at_us = static_cast<int64_t>((*random)());
  conversion.reason = static_cast<Reason>(below(12));
  if (below(2) == 0) conversion.conversion_datetime_us = static_cast<int64_t>((*random)());
  const auto amount = [&] {
    Decimal decimal;
    decimal.scale = static_cast<uint8_t>(below(13));
    __int128 bound = 1;
    for (int i = 0; i < 18 + decimal.scale; ++i) bound *= 10;
    const unsigned __int128 high = (*random)();
    const auto wide = static_cast<__int128>(high * (*random)());
    decimal.units = wide % bound;
    if (below(2) == 0) decimal.units = -decimal.units;
    return decimal;
  };
  if (below(2) == 0) conversion.usd_sale_amount = amount();
  if (below(2) == 0) conversion.usd_earning = amount();
  for (size_t i = 0; i < static_cast<size_t>(Field::kCount); ++i) {
    if (below(3) == 0) continue;
    std::string text(below(4) == 0 ? 0 : below(300), '\0');
    for (char& c : text) c = static_cast<char>((*random)());
    conversion.set(static_cast<Field>(i), text);
  }
  return conversion;
}

std::string bytes_of(const Conversion& conversion) {
  std::string bytes;
  CHECK(append_record(conversion, Owner(conversion.partner_id), &bytes));
  return bytes;
}

AppendResult Client::append(int64_t first_id, int count, const Owner& owner) {
  std::vector<Conversion> conversions;
  for (int i = 0; i < count; ++i)
    conversions.push_back(make_conversion(first_id + i, owner.partner_id));
  return append(conversions, owner);
}

AppendResult Client::append(const std::vector<Conversion>& conversions, const Owner& owner) {
  auto append = std::make_unique<Append>();
  for (const Conversion& conversion : conversions) CHECK(append->add(conversion, owner));
  append->reply_mailbox = &mailbox_;
  append->reply_receiver = this;
  Append* raw = append.get();
  outstanding_.push_back(std::move(append));
  writer_->append(raw);
  wait_for_all();
  if (last_result_ == AppendResult::durable) {
    for (const Conversion& conversion : conversions) acknowledged_.insert(conversion.id);
  }
  return last_result_;
}

void Client::start(int64_t id, int32_t partner_id) {
  auto append = std::make_unique<Append>();
  CHECK(append->add(make_conversion(id, partner_id)));
  append->reply_mailbox = &mailbox_;
  append->reply_receiver = this;
  outstanding_.push_back(std::move(append));
  writer_->append(outstanding_.back().get());
}

void Client::wait_for_all() {
  while (answered_ < outstanding_.size()) {
    mailbox_.wait();
    mailbox_.drain();
  }
  answered_ = 0;
  outstanding_.clear();
}

void Client::receive(Message& message) {
  auto& append = static_cast<Append&>(message);
  CHECK(append.result != AppendResult::pending);
  last_result_ = append.result;
  last_position_ = append.first;
  ++answered_;
}

WriterOptions writer_options(Disk* disk, const base::Clock* clock, const std::string& folder) {
  WriterOptions options;
  options.disk = disk;
  options.clock = clock;
  options.folder = folder;
  options.segment_bytes = kSmallSegmentBytes;
  options.random = [random = std::mt19937_64(7)]() mutable { return random(); };
  return options;
}

bool Everything::has(int64_t id) const {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

Everything read_everything(Disk* disk, const Checkpoint* checkpoint, const std::string& folder) {
  Everything all;
  ReaderOptions options;
  options.frames.disk = disk;
  options.frames.folder = folder;
  base::Result<std::vector<uint64_t>> numbers = list_segments(disk, folder);
  if (!numbers.ok()) {
    all.failed = true;
    all.error = numbers.status().message();
    return all;
  }
  options.frames.segments = numbers.take();
  options.include_drained = checkpoint == nullptr;
  if (checkpoint != nullptr) {
    options.frames.checkpoint = *checkpoint;
    options.frames.checkpoint_known = true;
  }
  Reader reader(options);
  while (true) {
    switch (reader.next()) {
      case ReaderStep::record:
        all.ids.push_back(reader.conversion().id);
        all.positions.push_back(reader.position());
        CHECK(bytes_of(reader.conversion()) ==
              bytes_of(make_conversion(reader.conversion().id, reader.conversion().partner_id)));
        continue;
      case ReaderStep::gap:
        all.gaps.push_back(reader.gap());
        continue;
      case ReaderStep::failed:
        all.failed = true;
        all.error = reader.status().message();
        return all;
      case ReaderStep::end:
        return all;
    }
  }
}

}  // namespace postback::journal
