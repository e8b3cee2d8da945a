// The numbers of both loops, each with its reason. Tests make loops with smaller ones.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace postback::io {

// One recv takes at most this much: a whole request line or header of the largest size we accept
// (8 KiB), so that an ordinary postback (under 1 KiB) is one recv.
constexpr uint32_t kRecvBytesMax = 8192;
// Receive memory of one turn: 256 recvs of the largest size, 2 MiB per core. At 100,000 requests/s
// a turn of a busy core holds some tens to a few hundred recvs; what does not fit waits one turn.
constexpr uint32_t kRecvBuffers = 256;

// Submission queue: one turn's operations of about 500 connections (a recv and a send each). A
// turn that asks for more submits in between.
constexpr uint32_t kSubmissions = 1024;
// Completion queue, as a multiple of it: connections that nobody asked about can complete too.
constexpr uint32_t kCompletionsPerSubmission = 4;

// epoll: events taken by one wait; the rest is taken by the next turn.
constexpr uint32_t kEventsPerTurn = 512;
// epoll: connections taken from one listener in one turn, so that a flood of new connections
// does not starve the ones that are being served.
constexpr uint32_t kAcceptsPerTurn = 64;

// After accept failed for want of descriptors or memory.
constexpr std::chrono::milliseconds kAcceptBackoff{100};

// A turn never waits longer. Far above any time limit in the server; it keeps "for ever"
// (nanoseconds::max()) clear of overflow in the kernel's arithmetic.
constexpr std::chrono::hours kWaitMax{1};
// The same for timers: 100 years is never.
constexpr std::chrono::hours kDelayMax{24 * 365 * 100};

// One send offers at most this much, so that its result fits the completion's int32_t.
constexpr size_t kSendBytesMax = size_t{1} << 30;

// Slots made at start; the table doubles beyond.
constexpr size_t kSocketsFirst = 1024;

}  // namespace postback::io
