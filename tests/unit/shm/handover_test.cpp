#include "common/shm/handover.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstring>
#include <system_error>
#include <thread>

namespace guideway::shm {
namespace {

ino_t inode_of(const Descriptor& fd) {
  struct stat status {};
  return fstat(fd.get(), &status) == 0 ? status.st_ino : 0;
}
bool readable(const Descriptor& fd, int timeout_ms) {
  pollfd entry{fd.get(), POLLIN, 0};
  return poll(&entry, 1, timeout_ms) > 0;
}

// A data plane's end that serves in a thread of its own.
class HandoverTest : public testing::Test {
 protected:
  HandoverTest() : path_(testing::TempDir() + "guideway-handover-" + std::to_string(getpid()) + ".sock") {}
  ~HandoverTest() override {
    stop();
    unlink((path_ + ".lock").c_str());
  }

  void serve(Descriptor custody = {}, AttachError answer = AttachError::none) {
    server_ = std::make_unique<HandoverServer>(path_, stats_.duplicate());
    server_->open();
    thread_ = std::thread([this, answer, custody = std::move(custody)] {
      while (!stop_) {
        pollfd entry{server_->fd(), POLLIN, 0};
        if (poll(&entry, 1, 10) > 0)
          server_->serve(custody, [&](Descriptor tables) {
            taken_ = inode_of(tables);
            return answer;
          });
        connected_ = server_->connected();
      }
    });
  }
  void stop() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
    server_.reset();
    stop_ = false;
  }
  bool wait_for_connected(bool expected) {
    for (int i = 0; i < 500 && connected_ != expected; i++) usleep(2000);
    return connected_ == expected;
  }
  // A peer that sends what it likes.
  Descriptor raw_client() {
    Descriptor fd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path_.c_str(), sizeof address.sun_path - 1);
    EXPECT_EQ(connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    std::array<char, 64> greeting{};
    EXPECT_GT(recv(fd.get(), greeting.data(), greeting.size(), 0), 0);
    return fd;
  }

  const std::string path_;
  const Descriptor stats_ = create_sealed_memory("test-stats", 4096);
  const Descriptor tables_ = create_sealed_memory("test-tables", 4096);
  std::unique_ptr<HandoverServer> server_;
  std::thread thread_;
  std::atomic<bool> stop_ = false;
  std::atomic<bool> connected_ = false;
  std::atomic<ino_t> taken_ = 0;
  std::string why_;
};

TEST_F(HandoverTest, GreetsWithStatsAndTakesAnOffer) {
  serve();
  const auto dataplane = greet(path_, why_);
  ASSERT_TRUE(dataplane) << why_;
  EXPECT_EQ(inode_of(dataplane->stats), inode_of(stats_));
  EXPECT_FALSE(dataplane->tables.valid());
  EXPECT_EQ(dataplane->pid, static_cast<std::uint32_t>(getpid()));
  EXPECT_FALSE(readable(dataplane->process, 0));
  EXPECT_EQ(offer(*dataplane, tables_, why_), AttachError::none);
  EXPECT_EQ(taken_, inode_of(tables_));
}

TEST_F(HandoverTest, GivesBackTheTablesInCustody) {
  serve(tables_.duplicate());
  const auto dataplane = greet(path_, why_);
  ASSERT_TRUE(dataplane) << why_;
  EXPECT_EQ(inode_of(dataplane->tables), inode_of(tables_));
}

TEST_F(HandoverTest, ARefusalComesBackByName) {
  serve({}, AttachError::layout_mismatch);
  const auto dataplane = greet(path_, why_);
  ASSERT_TRUE(dataplane) << why_;
  EXPECT_EQ(offer(*dataplane, tables_, why_), AttachError::layout_mismatch);
  EXPECT_NE(why_.find("the data plane refused the tables: layout mismatch"), std::string::npos) << why_;
}

TEST_F(HandoverTest, ANewerControlPlaneReplacesTheOlder) {
  serve();
  const auto older = greet(path_, why_);
  const auto newer = greet(path_, why_);
  ASSERT_TRUE(older && newer) << why_;
  EXPECT_TRUE(readable(older->connection, 1000)) << "the older one sees the end";
  EXPECT_EQ(offer(*older, tables_, why_), AttachError::no_answer);
  EXPECT_EQ(offer(*newer, tables_, why_), AttachError::none);
}

TEST_F(HandoverTest, TheEndOfAControlPlaneIsSeen) {
  serve();
  {
    const auto dataplane = greet(path_, why_);
    ASSERT_TRUE(dataplane) << why_;
    EXPECT_TRUE(wait_for_connected(true));
  }
  EXPECT_TRUE(wait_for_connected(false));
}

TEST_F(HandoverTest, WhoSendsGarbageIsClosed) {
  serve();
  for (const std::size_t size : {1U, 15U, 16U, 17U, 4096U}) {
    const Descriptor peer = raw_client();
    const std::string garbage(size, 'g');
    ASSERT_EQ(send(peer.get(), garbage.data(), size, MSG_NOSIGNAL), static_cast<ssize_t>(size));
    char byte = 0;
    EXPECT_TRUE(readable(peer, 2000));
    EXPECT_EQ(recv(peer.get(), &byte, 1, 0), 0) << size << " bytes";
  }
  const auto dataplane = greet(path_, why_);
  ASSERT_TRUE(dataplane) << why_;
  EXPECT_EQ(offer(*dataplane, tables_, why_), AttachError::none) << "and others are served";
}

TEST_F(HandoverTest, AnOfferWithoutDescriptorIsGarbage) {
  serve();
  const Descriptor peer = raw_client();
  const std::array<std::uint32_t, 4> offer_without_descriptor{2, kHandoverVersion, 0, 0};
  ASSERT_GT(send(peer.get(), offer_without_descriptor.data(), sizeof offer_without_descriptor, MSG_NOSIGNAL), 0);
  char byte = 0;
  EXPECT_EQ(recv(peer.get(), &byte, 1, 0), 0);
  EXPECT_EQ(taken_, 0U);
}

TEST_F(HandoverTest, ASecondDataPlaneIsRefusedWithoutDisturbingTheFirst) {
  serve();
  const auto dataplane = greet(path_, why_);
  ASSERT_TRUE(dataplane) << why_;
  try {
    HandoverServer second(path_, stats_.duplicate());
    ADD_FAILURE() << "it started";
  } catch (const std::system_error& error) {
    EXPECT_NE(std::string(error.what()).find("another data plane serves at " + path_ + "; stop it first"),
              std::string::npos)
        << error.what();
  }
  EXPECT_EQ(offer(*dataplane, tables_, why_), AttachError::none);
}

TEST_F(HandoverTest, AStaleSocketIsReplaced) {
  Descriptor stale(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path_.c_str(), sizeof address.sun_path - 1);
  ASSERT_EQ(bind(stale.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  stale = {};
  serve();
  EXPECT_TRUE(greet(path_, why_)) << why_;
  struct stat status {};
  ASSERT_EQ(stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
}

TEST_F(HandoverTest, WhereNobodyServesItSaysSo) {
  EXPECT_FALSE(greet(path_, why_));
  EXPECT_NE(why_.find("cannot reach the data plane at " + path_), std::string::npos) << why_;
}

TEST_F(HandoverTest, ADataPlaneThatIsNotOpenTurnsAwayAtOnce) {
  HandoverServer starting(path_, stats_.duplicate());
  starting.serve({}, [](Descriptor) { return AttachError::none; });
  EXPECT_FALSE(greet(path_, why_));
  EXPECT_NE(why_.find("cannot reach the data plane at " + path_), std::string::npos) << why_;
}

TEST_F(HandoverTest, AStuckDataPlaneIsNotWaitedForLong) {
  HandoverServer stuck(path_, stats_.duplicate());
  stuck.open();
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_FALSE(greet(path_, why_));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(1));
  EXPECT_NE(why_.find("does not answer"), std::string::npos) << why_;
}

TEST_F(HandoverTest, AKilledDataPlaneIsProvenDead) {
  std::array<int, 2> ready{};
  ASSERT_EQ(pipe(ready.data()), 0);
  const pid_t child = fork();
  if (child == 0) {
    HandoverServer server(path_, stats_.duplicate());
    server.open();
    if (write(ready[1], "r", 1) != 1) _exit(1);
    for (;;) {
      server.serve({}, [](Descriptor) { return AttachError::none; });
      usleep(1000);
    }
  }
  char byte = 0;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  const auto dataplane = greet(path_, why_);
  ASSERT_TRUE(dataplane) << why_;
  EXPECT_EQ(dataplane->pid, static_cast<std::uint32_t>(child));
  EXPECT_FALSE(readable(dataplane->process, 0));
  kill(child, SIGKILL);
  EXPECT_TRUE(readable(dataplane->process, 5000));
  EXPECT_TRUE(readable(dataplane->connection, 5000));
  waitpid(child, nullptr, 0);
  close(ready[0]);
  close(ready[1]);
  serve();
  EXPECT_TRUE(greet(path_, why_)) << "a successor takes the path over: " << why_;
}

}  // namespace
}  // namespace guideway::shm
