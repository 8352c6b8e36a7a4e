// How a fuzz target says that a rule was broken: one sentence, and abort(), which the fuzzer takes for a crash.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>

namespace guideway::fuzz {

[[noreturn]] inline void violated(const std::string& sentence) {
  std::fprintf(stderr, "VIOLATION: %s\n", sentence.c_str());
  std::abort();
}

inline void require(bool holds, const char* sentence) {
  if (!holds) violated(sentence);
}

}  // namespace guideway::fuzz
