// The mark of the time guard as a file, DATA_DIR/clock.mark: lines `name value`. A file that cannot
// be read or understood is no mark; the guard then begins anew, and nothing is purged for a day.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "base/time_guard.h"

namespace postback::base {

std::string mark_to_text(const TimeMark& mark);
std::optional<TimeMark> mark_from_text(std::string_view text);

std::string mark_path(const std::string& data_dir);
// An empty mark where there is none. Blocks, as does the next.
TimeMark load_mark(const std::string& data_dir);
Status keep_mark(const std::string& data_dir, const TimeMark& mark);

// CLOCK_BOOTTIME, which nobody can set and which counts while a machine sleeps; and the boot it
// counts from (/proc/sys/kernel/random/boot_id, random(4)). Where the system tells no boot, the
// name stands for this process.
int64_t boot_time_us();
const std::string& boot_id();

// What the clocks of this machine say now.
TimeSample sample_clocks();

}  // namespace postback::base
