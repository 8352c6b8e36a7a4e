// Two network namespaces for tests of what meets the kernel:
//
//   this process: gwt0 10.77.0.1/24 fd77::1/64 ─── veth ─── gwt1 10.77.0.2, .3 /24 fd77::2/64, HTTP 200 on port 80
//                 route 10.88.0.0/16 via 10.77.0.2, mtu 1400
//                 gwt2 10.99.0.1/24 (a TAP that stands for no port)
//
// The test process itself moves into a fresh namespace; both go away with it.
#pragma once

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <functional>
#include <string>

#include "controlplane/event_loop.h"

namespace guideway::controlplane {

class NetworkLab : public testing::Environment {
 public:
  void SetUp() override {
    ASSERT_EQ(unshare(CLONE_NEWNET), 0) << "needs root";
    start_peer();
    const std::string pid = std::to_string(peer_);
    here("ip link set lo up");
    here("ip link add gwt0 type veth peer name gwt1 netns " + pid);
    here("ip addr add 10.77.0.1/24 dev gwt0 && ip addr add fd77::1/64 dev gwt0 nodad && ip link set gwt0 up");
    there("ip link set lo up && ip link set gwt1 up && ip addr add 10.77.0.2/24 dev gwt1");
    there("ip addr add 10.77.0.3/24 dev gwt1 && ip addr add fd77::2/64 dev gwt1 nodad");
    here("ip route add 10.88.0.0/16 via 10.77.0.2 mtu 1400");
    here("ip tuntap add gwt2 mode tap && ip addr add 10.99.0.1/24 dev gwt2 && ip link set gwt2 up");
  }
  void TearDown() override {
    kill(peer_, SIGKILL);
    waitpid(peer_, nullptr, 0);
  }

  static void here(const std::string& command) { ASSERT_EQ(std::system(command.c_str()), 0) << command; }
  static void there(const std::string& command) {
    here("nsenter -t " + std::to_string(peer_) + " -n sh -c '" + command + "'");
  }

 private:
  static void start_peer() {
    int ready[2];
    ASSERT_EQ(pipe(ready), 0);
    peer_ = fork();
    if (peer_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (unshare(CLONE_NEWNET) != 0) _exit(1);
      serve(ready[1]);
    }
    char byte = 0;
    ASSERT_EQ(read(ready[0], &byte, 1), 1);
  }

  [[noreturn]] static void serve(int ready) {
    const int listener = socket(AF_INET6, SOCK_STREAM, 0);
    sockaddr_in6 any{};
    any.sin6_family = AF_INET6;
    any.sin6_port = htons(80);
    if (bind(listener, reinterpret_cast<const sockaddr*>(&any), sizeof any) != 0 || listen(listener, 64) != 0) _exit(1);
    if (write(ready, "r", 1) != 1) _exit(1);
    for (;;) {
      const int client = accept(listener, nullptr, nullptr);
      char request[4096];
      if (recv(client, request, sizeof request, 0) > 0) {
        const std::string answer = std::string(request, 9) == "GET /down"
                                       ? "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"
                                       : "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        send(client, answer.data(), answer.size(), MSG_NOSIGNAL);
      }
      close(client);
    }
  }

  inline static pid_t peer_ = 0;
};

// Runs the loop until `done`, or for `limit` at most; returns whether it is done.
inline bool run_until(EventLoop& loop, const std::function<bool()>& done,
                      std::chrono::milliseconds limit = std::chrono::seconds(10)) {
  const auto end = std::chrono::steady_clock::now() + limit;
  Timer* again = nullptr;
  Timer timer(loop, [&] {
    if (done() || std::chrono::steady_clock::now() > end) return loop.stop();
    again->start(std::chrono::milliseconds(2));
  });
  again = &timer;
  timer.start({});
  loop.run();
  return done();
}

}  // namespace guideway::controlplane
