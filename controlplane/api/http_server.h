// HTTP/1.1 with JSON over a Unix socket. Knows nothing of what is asked: a handler turns a Request into a Response.
//
// No client can stall the control plane or others: requests are read and answers written asynchronously, both with a
// deadline; sizes are bounded; the oldest of too many connections is closed. Without a descriptor for the next one, it
// waits in the queue.
// Thread-safety: one thread; the handler runs in the loop and must not block.
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "controlplane/event_loop.h"

namespace guideway::controlplane::api {

enum class Method { get, post, other };

struct Request {
  Method method = Method::other;
  std::string target;  // as sent, e.g. "/api/v1/status"
  std::string body;
};
struct Response {
  unsigned status = 200;
  std::string body;  // JSON
};
Response make_response(unsigned status, const nlohmann::json& body);
Response make_error(unsigned status, const std::string& sentence);

class HttpServer {
 public:
  using Handler = std::function<Response(const Request&)>;
  static constexpr std::size_t kConnectionsMax = 64;
  static constexpr std::size_t kBodyBytesMax = 5 << 20;  // a configuration file of 4 MiB, as JSON
  static constexpr std::size_t kHeaderBytesMax = 8 << 10;

  // Binds `path` (its directory is created if need be), replacing a stale socket. `group`: who besides root may
  // connect; empty: nobody. Throws std::system_error or std::runtime_error with a sentence, for example when another
  // control plane serves there.
  HttpServer(EventLoop& loop, const std::string& path, const std::string& group, Handler handler);
  ~HttpServer();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace guideway::controlplane::api
