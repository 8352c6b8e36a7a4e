// Health checks of backends that this test plays itself, at sockets of the loopback interface.
#include "controlplane/health/health_checker.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <atomic>
#include <optional>
#include <thread>

#include "common/descriptor.h"
#include "common/net/address_text.h"
#include "tests/unit/controlplane/network_lab.h"
#include "tests/unit/controlplane/no_descriptors.h"

namespace guideway::controlplane {
namespace {

const IpAddress kLoopback = *parse_ip("127.0.0.1");

// Answers every connection with the same bytes once a request is there.
class Backend {
 public:
  explicit Backend(std::string answer) : answer_(std::move(answer)), listener_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    EXPECT_EQ(bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), length), 0);
    EXPECT_EQ(listen(listener_.get(), 8), 0);
    getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &length);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { run(); });
  }
  ~Backend() {
    stop_ = true;
    thread_.join();
  }
  std::uint16_t port() const { return port_; }

 private:
  void run() {
    pollfd waiting{listener_.get(), POLLIN, 0};
    while (!stop_) {
      if (poll(&waiting, 1, 10) != 1) continue;
      const Descriptor client(accept(listener_.get(), nullptr, nullptr));
      char request[4096];
      if (recv(client.get(), request, sizeof request, 0) <= 0) continue;
      send(client.get(), answer_.data(), answer_.size(), MSG_NOSIGNAL);
      recv(client.get(), request, sizeof request, 0);  // until it is the checker who closes
    }
  }

  std::string answer_;
  Descriptor listener_;
  std::uint16_t port_ = 0;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

config::HealthCheck http_check(std::uint16_t port) {
  config::HealthCheck check;
  check.name = "http";
  check.type = config::CheckType::http;
  check.port = port;
  check.path = "/";
  check.interval = check.timeout = std::chrono::milliseconds(100);
  return check;
}

std::string repeated(const std::string& text, int times) {
  std::string all;
  for (int i = 0; i < times; i++) all += text;
  return all;
}

TEST(HealthChecker, JudgesAnAnswerByItsFinalStatus) {
  const std::string kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
  const std::string kOk = "HTTP/1.1 200 OK\r\n\r\n";
  using Verdict = ProbeResult::Verdict;
  struct Case {
    const char* what;
    std::string answer;
    Verdict verdict;
    const char* reason;
  };
  const Case cases[] = {
      {"plain", kOk, Verdict::good, "status 200"},
      {"a body that never comes", "HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n", Verdict::good, "status 200"},
      {"a chunked body", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFF\r\n", Verdict::good,
       "status 200"},
      {"a large body of an error", "HTTP/1.1 503 No\r\nContent-Length: 100000000\r\n\r\n", Verdict::bad,
       "status 503, expected 200-299"},
      {"an interim answer", kContinue + kOk, Verdict::good, "status 200"},
      {"an interim answer with a header", "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n" + kOk, Verdict::good,
       "status 200"},
      {"an interim answer before an error", kContinue + "HTTP/1.1 503 No\r\n\r\n", Verdict::bad,
       "status 503, expected 200-299"},
      {"as many interim answers as may be", repeated(kContinue, 8) + kOk, Verdict::good, "status 200"},
      {"too many interim answers", repeated(kContinue, 9) + kOk, Verdict::bad,
       "more than 8 interim answers (status 100)"},
      {"an interim answer alone", kContinue, Verdict::bad, "no answer within 100 ms"},
      {"no HTTP", "220 mail ESMTP\r\n\r\n", Verdict::bad, "the answer is not HTTP (bad version)"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.what);
    const Backend backend(c.answer);
    EventLoop loop;
    Prober prober(loop);
    ProbeResult result;
    prober.probe(kLoopback, http_check(backend.port()), [&](const ProbeResult& finished) {
      result = finished;
      loop.stop();
    });
    loop.run();
    EXPECT_EQ(result.verdict, c.verdict);
    EXPECT_EQ(result.reason, c.reason);
  }
}

config::Config one_backend(const config::HealthCheck& check) {
  config::Config config;
  config.health_checks.push_back(check);
  config::Pool& pool = config.pools.emplace_back();
  pool.name = "web";
  pool.health_check = 0;
  pool.backends.push_back({"b1", kLoopback, 1, 0, {}});
  return config;
}

TEST(HealthChecker, KeepsTheLastVerdictWhileThisHostHasNoDescriptor) {
  const Backend backend("HTTP/1.1 200 OK\r\n\r\n");
  const HealthTarget target{kLoopback, "http"};
  EventLoop loop;
  HealthChecker checker(loop, [](const HealthChecker::Verdict&) {});
  checker.follow(one_backend(http_check(backend.port())));
  ASSERT_TRUE(run_until(loop, [&] { return checker.health().at(target) == Health::up; }));
  EXPECT_EQ(checker.trouble(), "");

  std::optional<NoDescriptors> limit(std::in_place);
  ASSERT_TRUE(run_until(loop, [&] { return !checker.trouble().empty(); }));
  EXPECT_EQ(checker.trouble(),
            "this host cannot check 1 of 1 health targets, so their last verdicts hold: too many open files; raise the "
            "limit of descriptors (LimitNOFILE of its service, or ulimit -n)");
  // For longer than `fall` checks.
  EXPECT_FALSE(run_until(
      loop, [&] { return checker.health().at(target) != Health::up; }, std::chrono::seconds(1)));
  EXPECT_EQ(checker.last_result(target), "status 200");

  limit.reset();
  EXPECT_TRUE(run_until(loop, [&] { return checker.trouble().empty(); }));
  EXPECT_EQ(checker.health().at(target), Health::up);
}

// For longer than `fall` checks.
TEST(HealthChecker, KeepsTheLastVerdictWhileNothingGetsThere) {
  std::optional<Backend> backend("HTTP/1.1 200 OK\r\n\r\n");
  const HealthTarget target{kLoopback, "http"};
  EventLoop loop;
  std::string hindrance;
  HealthChecker checker(
      loop, [](const HealthChecker::Verdict&) {}, [&](const IpAddress&) { return hindrance; });
  checker.follow(one_backend(http_check(backend->port())));
  ASSERT_TRUE(run_until(loop, [&] { return checker.health().at(target) == Health::up; }));
  hindrance = "interface gwt0 is down";
  EXPECT_TRUE(run_until(loop, [&] { return checker.last_result(target) == "status 200"; }));
  EXPECT_EQ(checker.trouble(), "") << "it answers all the same";
  backend.reset();
  EXPECT_FALSE(run_until(
      loop, [&] { return checker.health().at(target) != Health::up; }, std::chrono::seconds(1)));
  EXPECT_EQ(checker.trouble(),
            "this host cannot check 1 of 1 health targets, so their last verdicts hold: interface gwt0 is down");
  hindrance.clear();
  EXPECT_TRUE(run_until(loop, [&] { return checker.health().at(target) == Health::down; })) << "it is dead";
  EXPECT_EQ(checker.trouble(), "");
}

}  // namespace
}  // namespace guideway::controlplane
