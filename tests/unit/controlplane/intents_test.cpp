// The intents' file: what is stored is there again, whatever happens in between.
#include "controlplane/intents.h"

#include <gtest/gtest.h>
#include <stdlib.h>  // mkdtemp

#include <filesystem>
#include <fstream>

namespace guideway::controlplane {
namespace {

namespace fs = std::filesystem;

class IntentsFileTest : public testing::Test {
 protected:
  IntentsFileTest() {
    std::string name = testing::TempDir() + "intents-XXXXXX";
    directory_ = mkdtemp(name.data());
  }
  ~IntentsFileTest() override { fs::remove_all(directory_); }
  void write(const std::string& name, const std::string& text) const { std::ofstream(directory_ / name) << text; }
  Intents load() {
    warning_.clear();
    return IntentsFile(directory_).load(warning_);
  }

  fs::path directory_;
  std::string warning_;
};

const Deadline kDeadline{std::chrono::milliseconds(1'795'435'262'123)};
const Intents kIntents = {{{"web", "b1"}, {true, std::nullopt, std::nullopt, "kernel update \"now\""}},
                          {{"web", "b2"}, {false, std::nullopt, 65535, ""}},
                          {{"web", "b3"}, {true, kDeadline, std::nullopt, ""}},
                          {{"dns", "b2"}, {true, std::nullopt, 0, "größer"}}};

TEST_F(IntentsFileTest, RoundTrip) {
  IntentsFile(directory_).store(kIntents);
  EXPECT_EQ(load(), kIntents);
  EXPECT_EQ(warning_, "");
}

TEST_F(IntentsFileTest, AFileOfBeforeDeadlinesIsUnderstood) {
  write("intents.json", R"({"version": 1, "intents": [
    {"pool": "web", "backend": "b1", "reason": "disk", "drained": true},
    {"pool": "web", "backend": "b2", "reason": "", "weight": 6}]})");
  const Intents wanted = {{{"web", "b1"}, {true, std::nullopt, std::nullopt, "disk"}},
                          {{"web", "b2"}, {false, std::nullopt, 6, ""}}};
  EXPECT_EQ(load(), wanted);
  EXPECT_EQ(warning_, "");
}

TEST_F(IntentsFileTest, ADrainIsOverAtItsDeadline) {
  const Intent drain{true, kDeadline, std::nullopt, ""};
  EXPECT_FALSE(drain.removes(kDeadline - std::chrono::milliseconds(1)));
  EXPECT_TRUE(drain.removes(kDeadline));
  EXPECT_FALSE(Intent{}.removes(kDeadline));
}

TEST_F(IntentsFileTest, NoFileMeansNoIntents) {
  EXPECT_EQ(load(), Intents{});
  EXPECT_EQ(warning_, "");
}

TEST_F(IntentsFileTest, TheStateDirectoryIsCreated) {
  IntentsFile(directory_ / "a" / "b").store(kIntents);
  EXPECT_TRUE(fs::exists(directory_ / "a" / "b" / "intents.json"));
}

TEST_F(IntentsFileTest, ACorruptFileIsKeptAsideWithASentence) {
  for (const char* text : {"", "{", "[]", R"({"version": 2, "intents": []})", R"({"version": 1})",
                           R"({"version": 1, "intents": [{"pool": "web"}]})",
                           R"({"version": 1, "intents": [{"pool": "web", "backend": "b1", "weight": 65536}]})",
                           R"({"version": 1, "intents": [{"pool": "web", "backend": "b1", "deadline_ms": "x"}]})"}) {
    SCOPED_TRACE(text);
    write("intents.json", text);
    EXPECT_EQ(load(), Intents{});
    EXPECT_NE(warning_.find("cannot be understood"), std::string::npos) << warning_;
    EXPECT_TRUE(fs::exists(directory_ / "intents.json.bad"));
    EXPECT_FALSE(fs::exists(directory_ / "intents.json"));
  }
}

// A kill between write and rename leaves the file aside, whole or in part.
TEST_F(IntentsFileTest, ADeathBeforeTheRenameLeavesTheOldIntents) {
  IntentsFile(directory_).store(kIntents);
  write("intents.json.new", R"({"version": 1, "inten)");
  EXPECT_EQ(load(), kIntents);
  IntentsFile(directory_).store({});
  EXPECT_EQ(load(), Intents{});
}

TEST_F(IntentsFileTest, AStoreThatFailsLeavesTheOldIntents) {
  const IntentsFile file(directory_);
  file.store(kIntents);
  fs::create_directory(directory_ / "intents.json.new");  // in the way of the new file
  EXPECT_THROW(file.store({}), std::system_error);
  EXPECT_EQ(load(), kIntents);
}

}  // namespace
}  // namespace guideway::controlplane
