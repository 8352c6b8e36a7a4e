// [flow_hash] key_file: where it is looked for, what it may hold, and who may read it.

#include <gtest/gtest.h>

#include "tests/unit/config/loaded.h"

namespace guideway::config {
namespace {

constexpr const char* kKey = "000102030405060708090a0b0c0d0e0f\n";

LoadResult load_in(const Directory& directory, const std::string& key_file) {
  return load_config(directory.write("guideway.toml", "schema = 1\nflow_hash.key_file = \"" + key_file +
                                                          "\"\n[dataplane]\nworker_cores = [1]\n[[dataplane.port]]\n"
                                                          "name = \"uplink\"\ndevice = \"net_null0\"\n"));
}

TEST(KeyFile, IsReadRelativeToTheConfig) {
  const Directory directory;
  directory.write("key", kKey);
  const LoadResult result = load_in(directory, "key");
  ASSERT_TRUE(result.config) << result.report();
  EXPECT_EQ(result.report(), "0 errors, 0 warnings\n");
  EXPECT_FALSE(result.config->flow_hash.is_default);
  for (std::uint8_t i = 0; i < 16; i++) EXPECT_EQ(result.config->flow_hash.secret[i], i);
}

TEST(KeyFile, MayBeAbsolute) {
  const Directory directory;
  const Directory elsewhere;
  EXPECT_TRUE(load_in(directory, elsewhere.write("key", "000102030405060708090A0B0C0D0E0F")).config);
}

TEST(KeyFile, ReadableByEveryoneIsAWarning) {
  const Directory directory;
  directory.write("key", kKey, 0644);
  const LoadResult result = load_in(directory, "key");
  EXPECT_TRUE(result.config);
  EXPECT_EQ(summary(result), "2:22 warning: key_file \"" + directory.path("key") +
                                 "\" can be read by everyone; fix: chmod o= " + directory.path("key") + "\n");
}

TEST(KeyFile, MissingIsAnError) {
  const Directory directory;
  const LoadResult result = load_in(directory, "key");
  EXPECT_FALSE(result.config);
  EXPECT_EQ(summary(result),
            "2:22 error: key_file \"" + directory.path("key") + "\" cannot be read: No such file or directory\n");
}

TEST(KeyFile, OtherContentIsAnError) {
  const Directory directory;
  for (const char* text : {"", "00", "000102030405060708090a0b0c0d0e0g", "000102030405060708090a0b0c0d0e0f00",
                           "00010203 405060708090a0b0c0d0e0f0", "+0010203040506070809-a0b0c0d0e0f"}) {
    directory.write("key", text);
    EXPECT_EQ(summary(load_in(directory, "key")),
              "2:22 error: key_file \"" + directory.path("key") +
                  "\" must hold 32 hex digits; make them with: openssl rand -hex 16\n")
        << text;
  }
}

}  // namespace
}  // namespace guideway::config
