// The API's server against clients that are polite, mad, slow and many.
#include "controlplane/api/http_server.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <functional>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>

#include "common/descriptor.h"
#include "tests/unit/controlplane/no_descriptors.h"

namespace guideway::controlplane::api {
namespace {

using std::chrono::steady_clock;

class Client {
 public:
  explicit Client(
      const std::string& path, const std::function<void()>& before_connect = [] {})
      : fd_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    const timeval timeout{8, 0};
    setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    before_connect();
    connected_ = connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  }
  bool connected() const { return connected_; }
  bool closed_by_server() const {
    char byte = 0;
    return recv(fd_.get(), &byte, 1, MSG_DONTWAIT) == 0;
  }
  void send(const std::string& bytes) const { ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL); }
  // Up to `bytes` bytes, or to the end.
  std::string receive(std::size_t bytes = 1) const {
    std::string text;
    char part[4096];
    while (text.size() < bytes) {
      const ssize_t n = recv(fd_.get(), part, sizeof part, 0);
      if (n <= 0) break;
      text.append(part, static_cast<std::size_t>(n));
    }
    return text;
  }

 private:
  Descriptor fd_;
  bool connected_ = false;
};

class HttpServerTest : public testing::Test {
 protected:
  HttpServerTest() : path_(testing::TempDir() + "http-" + std::to_string(getpid()) + ".sock") {
    server_.emplace(loop_, path_, "", [this](const Request& request) {
      requests_++;
      return make_response(200, {{"target", request.target}, {"bytes", request.body.size()}});
    });
    thread_ = std::thread([this] { loop_.run(); });
  }
  ~HttpServerTest() override {
    loop_.stop();
    thread_.join();
    server_.reset();
    unlink(path_.c_str());
    unlink((path_ + ".lock").c_str());
  }
  std::string ask(const std::string& bytes) const {
    const Client client(path_);
    client.send(bytes);
    return client.receive();
  }
  void expect_alive() const {
    EXPECT_NE(ask("GET /alive HTTP/1.1\r\nHost: g\r\n\r\n").find("\"target\":\"/alive\""), std::string::npos);
  }

  std::string path_;
  EventLoop loop_;
  std::atomic<int> requests_ = 0;
  std::optional<HttpServer> server_;
  std::thread thread_;
};

TEST_F(HttpServerTest, AnswersSeveralRequestsOnOneConnection) {
  const Client client(path_);
  for (const char* target : {"/a", "/b", "/c"}) {
    client.send("GET " + std::string(target) + " HTTP/1.1\r\nHost: g\r\n\r\n");
    const std::string answer = client.receive();
    EXPECT_EQ(answer.rfind("HTTP/1.1 200", 0), 0U) << answer;
    EXPECT_NE(answer.find(target), std::string::npos);
  }
}

TEST_F(HttpServerTest, OnlyItsOwnerMayConnectWithoutAGroup) {
  struct stat status {};
  ASSERT_EQ(stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
}

TEST_F(HttpServerTest, ASecondServerOnTheSamePathIsRefused) {
  EventLoop loop;
  EXPECT_THROW(HttpServer(loop, path_, "", {}), std::runtime_error);
  expect_alive();
}

// Both found nobody there, and one of them was faster.
TEST_F(HttpServerTest, ASecondServerThatMissedTheFirstIsRefused) {
  unlink(path_.c_str());
  EventLoop loop;
  EXPECT_THROW(HttpServer(loop, path_, "", {}), std::runtime_error);
}

TEST_F(HttpServerTest, AnUnknownGroupIsASentence) {
  EventLoop loop;
  try {
    const HttpServer server(loop, path_ + "2", "no-such-group", {});
    FAIL();
  } catch (const std::runtime_error& error) {
    EXPECT_NE(std::string(error.what()).find("no group \"no-such-group\""), std::string::npos) << error.what();
  }
  unlink((path_ + "2").c_str());
  unlink((path_ + "2.lock").c_str());
}

TEST_F(HttpServerTest, GarbageGetsAnErrorOrTheDoor) {
  EXPECT_EQ(ask("\x16\x03\x01\x02garbage\r\n\r\n").rfind("HTTP/1.1 400", 0), 0U);
  EXPECT_EQ(ask("GET / HTTP/9.9\r\n\r\n").rfind("HTTP/1.1 400", 0), 0U);
  std::mt19937 engine(1);
  for (int round = 0; round < 200; round++) {
    std::string bytes(engine() % 300, '\0');
    for (char& byte : bytes) byte = static_cast<char>(engine());
    const Client client(path_);
    client.send(bytes);
  }
  expect_alive();
}

TEST_F(HttpServerTest, BodiesAndHeadersAreBounded) {
  const std::string most(HttpServer::kBodyBytesMax, 'x');
  const std::string head = "POST / HTTP/1.1\r\nHost: g\r\nContent-Length: ";
  EXPECT_EQ(ask(head + std::to_string(most.size()) + "\r\n\r\n" + most).rfind("HTTP/1.1 200", 0), 0U);
  EXPECT_EQ(ask(head + std::to_string(most.size() + 1) + "\r\n\r\n").rfind("HTTP/1.1 413", 0), 0U);
  EXPECT_EQ(ask("GET / HTTP/1.1\r\nX: " + std::string(2 * HttpServer::kHeaderBytesMax, 'x')).rfind("HTTP/1.1 400", 0),
            0U);
  EXPECT_EQ(requests_, 1);
}

TEST_F(HttpServerTest, SlowAndSilentClientsStallNobodyAndAreClosed) {
  const Client silent(path_);
  const Client half(path_);
  half.send("GET /half HTTP/1.1\r\nHo");
  const auto begun = steady_clock::now();
  expect_alive();
  EXPECT_LT(steady_clock::now() - begun, std::chrono::seconds(2));
  EXPECT_EQ(half.receive(), "");  // closed by the server's deadline, before our own
  EXPECT_LT(steady_clock::now() - begun, std::chrono::seconds(7));
  EXPECT_EQ(silent.receive(), "");
}

TEST_F(HttpServerTest, TheOldestOfTooManyConnectionsGivesWay) {
  std::vector<Client> clients;
  for (std::size_t i = 0; i < 3 * HttpServer::kConnectionsMax; i++) clients.emplace_back(path_);
  expect_alive();
  EXPECT_EQ(clients.front().receive(), "");
}

TEST_F(HttpServerTest, NoMoreThanTheMostConnectionsStayOpen) {
  std::vector<Client> clients;
  for (std::size_t i = 0; i < 6 * HttpServer::kConnectionsMax; i++) clients.emplace_back(path_);
  expect_alive();
  EXPECT_LE(std::ranges::count_if(clients, [](const Client& each) { return !each.closed_by_server(); }),
            HttpServer::kConnectionsMax);
}

std::chrono::nanoseconds cpu_time_of(std::thread& thread) {
  clockid_t clock{};
  timespec time{};
  EXPECT_EQ(pthread_getcpuclockid(thread.native_handle(), &clock), 0);
  EXPECT_EQ(clock_gettime(clock, &time), 0);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

TEST_F(HttpServerTest, WithoutADescriptorItWaitsAndDoesNotSpin) {
  std::optional<NoDescriptors> limit;
  const Client client(path_, [&] { limit.emplace(); });
  ASSERT_TRUE(client.connected());
  client.send("GET /later HTTP/1.1\r\nHost: g\r\n\r\n");
  const auto cpu_before = cpu_time_of(thread_);
  std::this_thread::sleep_for(std::chrono::seconds(1));
  EXPECT_LT(cpu_time_of(thread_) - cpu_before, std::chrono::milliseconds(50));  // of a second: 5 %
  EXPECT_EQ(requests_, 0);
  limit.reset();
  EXPECT_NE(client.receive().find("/later"), std::string::npos);
}

}  // namespace
}  // namespace guideway::controlplane::api
