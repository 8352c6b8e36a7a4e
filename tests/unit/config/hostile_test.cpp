// Files made to hurt: each is refused in words, none crashes the loader or keeps it busy.

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <random>
#include <sstream>

#include "tests/unit/config/loaded.h"

namespace guideway::config {
namespace {

std::string repeated(const std::string& text, std::size_t times) {
  std::string out;
  out.reserve(text.size() * times);
  for (std::size_t i = 0; i < times; i++) out += text;
  return out;
}

std::string refusal_of(const std::string& text) {
  const LoadResult result = load_config_text(text, "f");
  EXPECT_FALSE(result.config);
  return summary(result);
}

TEST(Hostile, DottedKeys) {
  EXPECT_EQ(refusal_of(repeated("a.", 160'000) + "a = 1"), "1:34 error: a key has more than 16 dots\n");
  EXPECT_EQ(refusal_of("[" + repeated("a . ", 20) + "a]"), "1:68 error: a key has more than 16 dots\n");
}

TEST(Hostile, DeepNesting) {
  EXPECT_EQ(refusal_of("a = " + repeated("[", 100'000)), "1:21 error: brackets are more than 16 deep\n");
  EXPECT_EQ(refusal_of("a = " + repeated("[\n", 100'000)), "17:1 error: brackets are more than 16 deep\n");
  EXPECT_EQ(refusal_of("a = " + repeated("{a=", 100'000)), "1:53 error: brackets are more than 16 deep\n");
}

// What only looks like nesting, and strings that end where a careless scanner does not see it.
TEST(Hostile, StringsAndComments) {
  const std::string brackets = repeated("[.", 20);
  for (const std::string& text :
       {"# " + brackets, "a = \"" + brackets + "\"", "a = '" + brackets + "'", "a = \"\"\"\n" + brackets + "\n\"\"\"",
        "a = \"\\\"" + brackets + "\"", "a = '''" + brackets + "'''"})
    EXPECT_EQ(refusal_of(text).find("more than 16"), std::string::npos) << text;
  for (const std::string& text :
       {"a = [\"\", " + brackets, "a = ['\\', " + brackets, "a = [\"\"\"a\"\"\"\", " + brackets,
        "a = ['''a''''', " + brackets, "a = \"x\\\"\"\nb = " + brackets})
    EXPECT_NE(refusal_of(text).find("more than 16"), std::string::npos) << text;
}

TEST(Hostile, LongLine) {
  EXPECT_EQ(refusal_of("a = 1\nb = \"" + repeated("x", 5000) + "\""),
            "2:4098 error: a line is longer than 4 KiB; break it up\n");
}

TEST(Hostile, NulByte) {
  EXPECT_EQ(refusal_of(std::string("schema = 1\n\0", 12)), "2:1 error: a NUL byte; the file must be text\n");
}

TEST(Hostile, InvalidUtf8) {
  for (const char* text : {"a = \"\xff\"", "\xc3", "a = \"\xed\xa0\x80\"", "# \xf5\x80\x80\x80"})
    EXPECT_NE(refusal_of(text).find("error: "), std::string::npos) << text;
}

// Quotes and spaces that were copied from a web page, and letters where quotes were forgotten.
TEST(Hostile, WhatIsNotAsciiNeedsQuotes) {
  const std::string sentence =
      " error: a character that is not ASCII, outside of quotes and comments; put plain quotes around it, or remove "
      "it\n";
  EXPECT_EQ(refusal_of("[pool.caf\u00e9]"), "1:10" + sentence);
  EXPECT_EQ(refusal_of("a = 1\n\u00a0b = 1"), "2:1" + sentence);
  EXPECT_EQ(refusal_of("a = \u201cweb\u201d"), "1:5" + sentence);
  EXPECT_EQ(refusal_of("\ufeffa = \"\u00e9\" # \u00e9\n\"\u00e9\" = '\u00e9'\nb = \"\"\"\n\u00e9\"\"\"").find("ASCII"),
            std::string::npos);
}

TEST(Hostile, HugeNumbers) {
  EXPECT_NE(refusal_of("schema = 99999999999999999999999999").find("1:"), std::string::npos);
  EXPECT_NE(refusal_of("schema = 1e999999999").find("1:"), std::string::npos);
  EXPECT_NE(refusal_of("schema = 0x" + repeated("f", 400)).find("1:"), std::string::npos);
}

TEST(Hostile, ControlBytesStayOutOfTheReport) {
  const LoadResult result = load_config_text("a\x1b[2Jb = 1\n\"x\\u001b[31m\" = 2\n", "f\x1b");
  for (const char c : result.report()) EXPECT_TRUE(c == '\n' || c >= ' ') << int{c};
}

TEST(Hostile, FourMebibytesAndOneByte) {
  const std::string four_mib = repeated("# 456789012345\n\n", 4 << 16);
  EXPECT_EQ(four_mib.size(), 4U << 20);
  EXPECT_EQ(refusal_of(four_mib).find("larger"), std::string::npos);
  EXPECT_EQ(refusal_of(four_mib + "\n"), "0:0 error: the file is larger than 4 MiB\n");
}

TEST(Hostile, AHundredThousandProblemsAreCounted) {
  std::string text;
  for (int i = 0; i < 100'000; i++) text += "worker_core" + std::to_string(i) + " = 1\n";
  const auto start = std::chrono::steady_clock::now();
  const LoadResult result = load_config_text(text, "f");
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
  ASSERT_EQ(result.diagnostics.size(), 201U);
  EXPECT_NE(result.diagnostics.back().message.find("more problems are not shown"), std::string::npos);
}

TEST(Hostile, FilesThatAreNone) {
  const Directory directory;
  const auto refusal = [](const std::string& path) { return load_config(path).report(); };
  EXPECT_EQ(refusal(directory.path("none")),
            directory.path("none") + ": error: cannot be read: No such file or directory\n1 error, 0 warnings\n");
  EXPECT_EQ(refusal(directory.path("")),
            directory.path("") + ": error: cannot be read: it is a directory\n1 error, 0 warnings\n");
  EXPECT_EQ(refusal("/dev/zero"), "/dev/zero: error: cannot be read: it is not a regular file\n1 error, 0 warnings\n");
  ASSERT_EQ(::mkfifo(directory.path("fifo").c_str(), 0600), 0);
  EXPECT_EQ(refusal(directory.path("fifo")), directory.path("fifo") +
                                                 ": error: cannot be read: it is not a regular file\n"
                                                 "1 error, 0 warnings\n");
  // Root reads everything that has a mode; a process's own memory has a beginning that nobody can read.
  EXPECT_EQ(refusal("/proc/self/mem"),
            "/proc/self/mem: error: cannot be read: Input/output error\n1 error, 0 warnings\n");
  EXPECT_EQ(
      refusal(directory.write("large", repeated("#\n", (2 << 20) + 1))),
      directory.path("large") + ": error: cannot be read: it is larger than 4194304 bytes\n1 error, 0 warnings\n");
}

// Bytes flipped, cut out, doubled and swapped between places; GUIDEWAY_SEED repeats a run.
std::string mutated(std::string text, std::mt19937_64& random) {
  const auto below = [&](std::size_t limit) { return static_cast<std::size_t>(random() % (limit == 0 ? 1 : limit)); };
  static const std::string kTokens[] = {"[",   "]",  "{",  "}",  "=",    "\"", "'",          "\"\"\"",
                                        "'''", ".",  ",",  "\n", "\\",   "#",  "-1",         "1e400",
                                        "nan", "0x", "[[", "]]", "\xff", "\r", "1979-05-27", "true"};
  for (std::size_t edits = 1 + below(4); edits > 0; edits--) {
    const std::size_t at = below(text.size());
    const std::size_t size = std::min(below(40), text.size() - at);
    switch (below(5)) {
      case 0:
        text[at] = static_cast<char>(random());
        break;
      case 1:
        text.erase(at, size);
        break;
      case 2:
        text.insert(below(text.size()), text.substr(at, size));
        break;
      case 3:
        text.insert(at, kTokens[below(std::size(kTokens))]);
        break;
      default:
        text.resize(std::max<std::size_t>(at, 1));
        break;
    }
  }
  return text;
}

TEST(Hostile, MutationsOfTheExampleNeverCrash) {
  std::ifstream file(GUIDEWAY_EXAMPLE);
  std::stringstream stream;
  stream << file.rdbuf();
  // Prose is where mutations are lost; without it nearly all hit something.
  std::string example;
  for (std::string line; std::getline(stream, line);)
    if (!line.empty() && line[0] != '#') example += line + "\n";

  const char* given = std::getenv("GUIDEWAY_SEED");
  const std::uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 0) : std::random_device{}();
  std::cout << "GUIDEWAY_SEED=" << seed << std::endl;
  std::mt19937_64 random(seed);
  std::size_t refused = 0;
  for (int i = 0; i < 10'000; i++) {
    const LoadResult result = load_config_text(mutated(example, random), "f");
    const bool has_error = std::any_of(result.diagnostics.begin(), result.diagnostics.end(),
                                       [](const Diagnostic& d) { return d.severity == Severity::error; });
    ASSERT_NE(result.config.has_value(), has_error) << result.text;
    ASSERT_FALSE(result.report().empty());
    refused += has_error ? 1 : 0;
  }
  EXPECT_GT(refused, 5'000U);
  EXPECT_LT(refused, 10'000U);
}

}  // namespace
}  // namespace guideway::config
