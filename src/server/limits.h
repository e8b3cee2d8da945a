// The bounds of the server, in one place; those of HTTP are in http/parser.h, those of the lanes in
// ingest/limits.h.
#pragma once

#include <cstddef>
#include <cstdint>

namespace postback::server {

constexpr uint64_t kMillisecondNs = 1'000'000;
constexpr uint64_t kSecondNs = 1'000 * kMillisecondNs;

// Absolute limits of one request, and of a connection that waits for the next one.
constexpr uint64_t kHeadLimitNs = 10 * kSecondNs;
constexpr uint64_t kBodyLimitNs = 15 * kSecondNs;
constexpr uint64_t kIdleLimitNs = 60 * kSecondNs;
// An idle connection gives its buffers back after this long: there may be very many of them, and
// one that is busy should not allocate them for each request.
constexpr uint64_t kIdleBuffersNs = 1 * kSecondNs;
// A client that takes nothing of an answer for this long is gone.
constexpr uint64_t kSendLimitNs = 30 * kSecondNs;
// After a refusal the rest of the client's bytes is read and thrown away for this long, so that
// closing does not reset the connection before the client has read the answer.
constexpr uint64_t kLingerLimitNs = 1 * kSecondNs;

// A postback whose outcome is not known by then is answered 503. Senders wait 2 s at least.
constexpr uint64_t kPostbackLimitNs = 1'700 * kMillisecondNs;
constexpr uint64_t kReadLimitNs = 6 * kSecondNs;
constexpr int kRetryAfterS = 5;

// Answers of one connection that are not sent yet; at the bound reading stops.
constexpr uint32_t kExchangesMax = 16;
// Output of one connection that the client has not taken; at the bound reading stops.
constexpr size_t kOutputBytesMax = 256 * 1024;

// What one send gives the kernel of a report: a large one goes out in many turns, between which the
// other clients of the core have theirs. The kernel copies so much in some 20 microseconds.
constexpr size_t kSendBytesMax = 64 * 1024;
// Bodies up to this size are copied behind their head, larger ones are sent from where they lie.
constexpr size_t kBodyBytesCopied = 16 * 1024;

// What all clients make the process hold for requests that have begun to arrive and are not
// complete, and for answers that they do not take; each core has its share. Beyond it the laziest
// connections are closed. A thousand bodies of the largest size are on their way then.
constexpr size_t kHalfSentBytesMax = 64 * 1024 * 1024;
constexpr size_t kUntakenBytesMax = 64 * 1024 * 1024;

// Reports (/stats, /conversions, /metrics, /info, /health) over the process: their memory, from
// the question until the client has the answer, is the reports' budget, beyond which they are
// answered 503. One that waits counts so much (it is a histogram, mostly), one that is being read
// so much (the rows of a page, kPageBytesMax and one row more, and their JSON), and one that is
// being sent what it is.
constexpr size_t kReportBytesMax = 64 * 1024 * 1024;
constexpr size_t kReportWaitingBytes = 8 * 1024;
constexpr size_t kReportReadingBytes = 4 * 1024 * 1024;
// Partners of whom a report is read at once, over the process. More would not be quicker where
// there are few processors, and one database that hangs must not keep the others' reports waiting.
constexpr size_t kReportsReadingMax = 4;
// How much of reports is written in a second, over the process. A mebibyte costs some three
// milliseconds of reading, writing and sending, so this is a tenth of one processor; each report
// counts as kReportBytesMin at least. A whole table of a million usual rows is read in 20 seconds.
constexpr uint64_t kReportBytesPerSecond = 32 * 1024 * 1024;
constexpr uint64_t kReportBytesMin = 16 * 1024;
// After a rest so much time's worth is written at once.
constexpr uint64_t kReportBurstNs = 20 * kMillisecondNs;
// A report on more lanes or partners than this is written by the report desk: it is a millisecond
// of work.
constexpr size_t kSurveyEntriesOnCore = 100;
// The desk's thread, see setpriority(2).
constexpr int kReportNiceness = 10;

// How often deadlines of connections are looked at, and lanes ticked.
constexpr uint64_t kSweepIntervalNs = 250 * kMillisecondNs;
constexpr uint64_t kTickIntervalNs = 50 * kMillisecondNs;

// Starting: how long connections wait in the kernel's queue for a partner table, when there is
// neither a control database nor a cache, and for the journal's first file. Longer, their senders
// (who wait for two seconds at least) would rather have an answer.
constexpr uint64_t kFirstTableLimitNs = 2 * kSecondNs;
constexpr uint64_t kJournalLimitNs = 2 * kSecondNs;

// Stopping: clients get this long for their answers, databases this long to close; under 8 s in
// all.
constexpr uint64_t kDrainLimitNs = 4 * kSecondNs;
constexpr uint64_t kCloseLimitNs = 3 * kSecondNs;

constexpr int64_t kStatsHoursMax = 24 * 366 * 10;
constexpr int64_t kPageRowsMax = 1000;

}  // namespace postback::server
