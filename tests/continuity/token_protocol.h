// What token_client and token_server say to each other. Each connection has a nonce that only the server that accepted
// it knows, so an answer from anybody else is found out. Both ends run on one machine: numbers are in its byte order.
//
//   server ─► client   Answer{nonce, number of the backend}   at accept
//   client ─► server   Token{n}                               n = 1, 2, 3 …
//   server ─► client   Answer{nonce, n}
#pragma once

#include <cstdint>

namespace guideway::continuity {

struct Token {
  std::uint64_t number;
};

struct Answer {
  std::uint64_t nonce;
  std::uint64_t number;
};
static_assert(sizeof(Token) == 8 && sizeof(Answer) == 16);

}  // namespace guideway::continuity
