// The intents' file: what is stored is there again, whatever happens in between.
#include "controlplane/intents.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <system_error>

#include "tests/lib/temporary_directory.h"

namespace guideway::controlplane {
namespace {

namespace fs = std::filesystem;

class IntentsFileTest : public testing::Test {
 protected:
  void write(const std::string& name, const std::string& text) const { std::ofstream(directory_ / name) << text; }
  std::string read(const std::string& name) const {
    std::ifstream file(directory_ / name);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  Intents load() {
    warning_.clear();
    return IntentsFile(directory_).load(warning_);
  }

  const TemporaryDirectory temporary_;
  const fs::path directory_ = temporary_.path();
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

// As on a disk that cannot be written. What it says is not lost, whatever is stored later.
TEST_F(IntentsFileTest, ACorruptFileThatCannotBeKeptAsideStays) {
  write("intents.json", "{");
  fs::create_directories(directory_ / "intents.json.bad" / "in the way");
  IntentsFile file(directory_);
  EXPECT_EQ(file.load(warning_), Intents{});
  EXPECT_NE(warning_.find("the file stays there until it can be kept aside (cannot rename " +
                          (directory_ / "intents.json").string() + " to "),
            std::string::npos)
      << warning_;
  EXPECT_THROW(file.store(kIntents), std::system_error);
  EXPECT_EQ(read("intents.json"), "{");
  fs::remove_all(directory_ / "intents.json.bad");
  file.store(kIntents);
  EXPECT_EQ(read("intents.json.bad"), "{");
  file.store({});
  EXPECT_EQ(read("intents.json.bad"), "{") << "once is enough";
  EXPECT_EQ(load(), Intents{});
  EXPECT_EQ(warning_, "");
}

TEST_F(IntentsFileTest, WhatIsInTheWayIsSaid) {
  const auto said = [](const auto& action) -> std::string {
    try {
      action();
    } catch (const std::system_error& error) {
      return error.what();
    }
    return "nothing";
  };
  const std::string path = directory_ / "intents.json";
  fs::create_directory(path);
  EXPECT_EQ(said([&] { load(); }), "cannot read " + path + "; move the directory of this name away: Is a directory");
  write("state", "a file");
  const std::string state = directory_ / "state";
  for (const std::string& state_dir : {state, state + "/below"})
    EXPECT_EQ(said([&] { IntentsFile{state_dir}; }),
              "cannot make the directory " + state_dir +
                  "; remove what is in its way, or name another one as [control] state_dir: Not a directory");
}

TEST_F(IntentsFileTest, NoticesThatAFileWasTakenAway) {
  IntentsFile file(directory_);
  EXPECT_FALSE(file.is_behind()) << "there was none";
  file.store(kIntents);
  EXPECT_FALSE(file.is_behind());
  IntentsFile next(directory_);
  next.load(warning_);
  fs::remove_all(directory_);
  EXPECT_TRUE(file.is_behind());
  EXPECT_TRUE(next.is_behind());
  file.store(kIntents);
  EXPECT_FALSE(file.is_behind());
  EXPECT_EQ(load(), kIntents);
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
  IntentsFile file(directory_);
  file.store(kIntents);
  fs::create_directory(directory_ / "intents.json.new");  // in the way of the new file
  EXPECT_THROW(file.store({}), std::system_error);
  EXPECT_EQ(load(), kIntents);
}

}  // namespace
}  // namespace guideway::controlplane
