// The file of backends' numbers: what is stored is there again, and garbage is a warning.
#include "controlplane/backend_numbers.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/lib/temporary_directory.h"

namespace guideway::controlplane {
namespace {

namespace fs = std::filesystem;

class BackendNumbersFileTest : public testing::Test {
 protected:
  fs::path file() const { return directory_ / "backend_numbers.json"; }
  BackendNumbers load() {
    warning_.clear();
    return BackendNumbersFile(directory_).load(warning_);
  }

  const TemporaryDirectory temporary_;
  const fs::path directory_ = temporary_.path();
  std::string warning_;
  const IpAddress v4_ = IpAddress::from_v4(Be32::from_host(0x0a000001));
  const BackendNumbers numbers_ = {{{"web", v4_}, 3}, {{"web", IpAddress{}}, 65535}, {{"dns", v4_}, 0}};
};

TEST_F(BackendNumbersFileTest, RoundTrip) {
  EXPECT_TRUE(load().empty());
  BackendNumbersFile(directory_).store(numbers_);
  EXPECT_EQ(load(), numbers_);
  EXPECT_EQ(warning_, "");
}

TEST_F(BackendNumbersFileTest, GarbageIsNoNumberAndAWarning) {
  for (const char* text :
       {"", "garbage", "[]", R"({"version": 2, "pools": {}})", R"({"version": 1, "pools": {"web": {"10.0.0": 1}}})",
        R"({"version": 1, "pools": {"web": {"10.0.0.1": "one"}}})"}) {
    std::ofstream(file()) << text;
    EXPECT_TRUE(load().empty()) << text;
    EXPECT_NE(warning_.find("backend_numbers.json cannot be understood"), std::string::npos) << text;
  }
}

TEST_F(BackendNumbersFileTest, AFileThatWasTakenAwayIsWrittenAgain) {
  BackendNumbersFile numbers(directory_);
  numbers.store(numbers_);
  EXPECT_FALSE(numbers.is_behind());
  fs::remove(file());
  EXPECT_TRUE(numbers.is_behind());
  numbers.store(numbers_);
  EXPECT_EQ(load(), numbers_);
}

}  // namespace
}  // namespace guideway::controlplane
