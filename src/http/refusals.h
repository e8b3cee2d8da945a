// Every way the parser refuses, in one place. Code and status are part of the interface towards
// clients; the messages are for people.
#pragma once

#include "http/request.h"

namespace postback::http {

// Status 400 has one code for programs: no client can do more about it than be corrected.
constexpr Refusal bad_request(std::string_view message) {
  return {400, "bad_request", message};
}

inline constexpr Refusal kBadRequestLine =
    bad_request("The request line is not \"METHOD SP TARGET SP HTTP/1.1\" in printable ASCII.");
inline constexpr Refusal kBareLineFeed =
    bad_request("A line ends in LF alone instead of CR and LF.");
inline constexpr Refusal kEmptyLines =
    bad_request("Too many empty lines stand before the request line.");
inline constexpr Refusal kFoldedHeader =
    bad_request("A header is folded over several lines, which RFC 9112 forbids.");
inline constexpr Refusal kBadHeaderName =
    bad_request("A header's name is empty or holds a character that is not allowed in names.");
inline constexpr Refusal kBadHeaderValue =
    bad_request("A header's value holds a control character.");
inline constexpr Refusal kBadHead = bad_request("The request's head is malformed.");
inline constexpr Refusal kBadTarget =
    bad_request("The request target is malformed, or names another host than the Host header.");
inline constexpr Refusal kMissingHost = bad_request("An HTTP/1.1 request needs a Host header.");
inline constexpr Refusal kRepeatedHost = bad_request("There is more than one Host header.");
inline constexpr Refusal kBadHost = bad_request("The Host header is not a host name or address.");
inline constexpr Refusal kBadLength =
    bad_request("The Content-Length header is not one decimal number.");
inline constexpr Refusal kAmbiguousLength =
    bad_request("Content-Length and Transfer-Encoding must not come together.");
inline constexpr Refusal kBadTransferEncoding =
    bad_request("The Transfer-Encoding header must be exactly \"chunked\", once, in HTTP/1.1.");
inline constexpr Refusal kBadChunk =
    bad_request("The chunked body is malformed, or its chunk extensions are too long.");
inline constexpr Refusal kBadBody = bad_request("The request's body is malformed.");

inline constexpr Refusal kBodyTooLarge = {413, "body_too_large",
                                          "The request's body is too large."};
inline constexpr Refusal kRequestLineTooLong = {414, "request_line_too_long",
                                                "The request line is too long."};
inline constexpr Refusal kUnsupportedExpectation = {
    417, "unsupported_expectation", "Only the expectation \"100-continue\" is supported."};
inline constexpr Refusal kHeaderTooLarge = {431, "header_too_large",
                                            "A header, or all headers together, are too large."};
inline constexpr Refusal kTooManyHeaders = {431, "too_many_headers", "There are too many headers."};
inline constexpr Refusal kUnknownMethod = {501, "unknown_method",
                                           "This method is not known to the server."};
inline constexpr Refusal kUnknownTransferCoding = {
    501, "unknown_transfer_coding", "Only the transfer coding \"chunked\" is supported."};
inline constexpr Refusal kUnsupportedVersion = {505, "unsupported_version",
                                                "Only HTTP/1.0 and HTTP/1.1 are supported."};

}  // namespace postback::http
