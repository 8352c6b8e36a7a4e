#include <gtest/gtest.h>

#include "common/config/load.h"
#include "common/config/words.h"

namespace guideway::config {
namespace {

TEST(Report, LooksLikeACompilers) {
  const LoadResult result =
      load_config_text("schema = 1\n\tdataplane = \"ä\"\ncolour = 'ä'  # ä\nflow_hash = 1\n", "a.toml");
  EXPECT_EQ(result.report(),
            "a.toml:2:14: error: dataplane wants a table, found the string \"ä\"\n"
            "    \tdataplane = \"ä\"\n"
            "    \t            ^\n"
            "a.toml:3:1: error: unknown key \"colour\" at the top level; remove it\n"
            "    colour = 'ä'  # ä\n"
            "    ^\n"
            "a.toml:4:13: error: flow_hash wants a table, found the integer 1\n"
            "    flow_hash = 1\n"
            "                ^\n"
            "3 errors, 0 warnings\n");
}

TEST(Report, PlacesOutsideTheTextHaveNoExcerpt) {
  EXPECT_EQ(format({Severity::warning, "a.toml", 9, 9, "odd"}, "x = 1\n"), "a.toml:9:9: warning: odd\n");
  EXPECT_EQ(format({Severity::warning, "a.toml", 0, 0, "odd"}, "x = 1\n"), "a.toml: warning: odd\n");
  EXPECT_EQ(format({Severity::warning, "a.toml", 1, 99, "odd"}, "x"), "a.toml:1:99: warning: odd\n    x\n     ^\n");
}

TEST(Report, BriefNamesALineOnlyIfThereIsOne) {
  EXPECT_EQ(brief({Severity::error, "a.toml", 9, 4, "odd"}), "a.toml:9: odd");
  EXPECT_EQ(brief({Severity::error, "a.toml", 0, 0, "odd"}), "a.toml: odd");
  LoadResult result;
  EXPECT_EQ(result.first_error(), "");
  result.diagnostics = {{Severity::warning, "a.toml", 0, 0, "odd"},
                        {Severity::error, "a.toml", 2, 1, "bad"},
                        {Severity::error, "a.toml", 3, 1, "worse"},
                        {Severity::warning, "a.toml", 4, 1, "odder"}};
  EXPECT_EQ(result.warnings(), (std::vector<std::string>{"a.toml: odd", "a.toml:4: odder"}));
  EXPECT_EQ(result.first_error(), "a.toml:2: bad");
}

TEST(Report, BriefIsOneLineWhateverTheFileHolds) {
  const LoadResult result = load_config_text("schema = 1\n[bgp]\nenabled = tru\n", "a\n.toml");
  EXPECT_EQ(result.first_error(), "a?.toml:3: Error while parsing boolean: expected 'true', saw 'tru?'");
}

TEST(Words, EditDistance) {
  EXPECT_EQ(edit_distance("", ""), 0U);
  EXPECT_EQ(edit_distance("", "abc"), 3U);
  EXPECT_EQ(edit_distance("weight", "weight"), 0U);
  EXPECT_EQ(edit_distance("wieght", "weight"), 1U);  // neighbours swapped
  EXPECT_EQ(edit_distance("wight", "weight"), 1U);
  EXPECT_EQ(edit_distance("weights", "weight"), 1U);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3U);
}

TEST(Words, NearestIsNearOrNothing) {
  const std::vector<std::string> words{"pool", "port", "path"};
  EXPECT_EQ(*nearest("pol", words), "pool");
  EXPECT_EQ(*nearest("prot", words), "port");
  EXPECT_EQ(nearest("x", words), nullptr);
  EXPECT_EQ(nearest("protocol", words), nullptr);
  EXPECT_EQ(nearest(std::string(1000, 'p'), words), nullptr);
  EXPECT_EQ(nearest("pool", {}), nullptr);
}

TEST(Words, QuotedIsSafeAndShort) {
  EXPECT_EQ(in_quotes("a\x1b\n\x7f"), "\"a???\"");
  EXPECT_EQ(in_quotes(std::string(100, 'x')), "\"" + std::string(60, 'x') + "…\"");
}

}  // namespace
}  // namespace guideway::config
