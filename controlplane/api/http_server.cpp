#include "controlplane/api/http_server.h"

#include <fmt/format.h>
#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/local/stream_protocol.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <system_error>
#include <vector>

#include "common/path_lock.h"
#include "controlplane/log.h"

namespace guideway::controlplane::api {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::local::stream_protocol;
using boost::system::error_code;
using nlohmann::json;

namespace {

constexpr std::chrono::seconds kReadTimeout{5};
constexpr std::chrono::seconds kWriteTimeout{5};
constexpr std::chrono::milliseconds kAcceptAgain{200};

gid_t group_id(const std::string& name) {
  std::vector<char> buffer(16384);
  group entry{};
  group* found = nullptr;
  if (getgrnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr)
    throw std::runtime_error(fmt::format(
        "[control] socket_group: there is no group \"{}\"; create it (groupadd {}) or leave the key out", name, name));
  return found->gr_gid;
}

// Whoever looks first whether somebody answers there, and then takes the place, may not be the only one who does.
Descriptor lock_for_serving(const std::string& path) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  Descriptor lock = lock_path(path);
  if (lock.valid()) return lock;
  if (errno == EADDRINUSE)
    throw std::runtime_error(fmt::format("another control plane serves {}; stop it first", path));
  throw std::system_error(errno, std::generic_category(), "cannot lock " + path + ".lock");
}

// REQUIRES: the lock.
stream_protocol::acceptor listen_at(asio::io_context& context, const std::string& path, const std::string& group) {
  unlink(path.c_str());
  stream_protocol::acceptor acceptor(context);
  acceptor.open();
  // Nobody gets in between bind and the final mode.
  const mode_t before = umask(0177);
  error_code error;
  acceptor.bind(stream_protocol::endpoint(path), error);
  umask(before);
  if (error) throw std::runtime_error(fmt::format("cannot bind {}: {}", path, error.message()));
  if (!group.empty()) {
    if (chown(path.c_str(), static_cast<uid_t>(-1), group_id(group)) != 0 || chmod(path.c_str(), 0660) != 0)
      throw std::system_error(errno, std::generic_category(), "cannot give " + path + " to group " + group);
  }
  acceptor.listen();
  return acceptor;
}

Method method_of(http::verb verb) {
  return verb == http::verb::get ? Method::get : verb == http::verb::post ? Method::post : Method::other;
}

// One client. Lives as long as its pending operation, or until the server closes it.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(stream_protocol::socket socket, const HttpServer::Handler& handler, std::function<void()> on_end)
      : stream_(std::move(socket)), handler_(handler), on_end_(std::move(on_end)) {}
  ~Connection() { on_end_(); }

  void read() {
    parser_.emplace();
    parser_->header_limit(HttpServer::kHeaderBytesMax);
    parser_->body_limit(HttpServer::kBodyBytesMax);
    stream_.expires_after(kReadTimeout);
    http::async_read(stream_, buffer_, *parser_,
                     [self = shared_from_this()](const error_code& error, std::size_t) { self->has_read(error); });
  }
  void close() { stream_.close(); }

 private:
  void has_read(const error_code& error) {
    if (error == http::error::body_limit)
      return answer(make_error(413, fmt::format("the body is larger than {} bytes", HttpServer::kBodyBytesMax)), false);
    const bool is_http_error = error.category() == http::make_error_code(http::error::end_of_stream).category();
    if (error && (!is_http_error || error == http::error::end_of_stream)) return;  // gone, or too slow
    if (error) return answer(make_error(400, "this is not an HTTP/1.1 request: " + error.message()), false);
    const auto& request = parser_->get();
    answer(handler_({method_of(request.method()), std::string(request.target()), request.body()}),
           request.keep_alive());
  }

  void answer(Response response, bool keep_alive) {
    response_ = {};
    response_.result(response.status);
    response_.version(11);
    response_.set(http::field::content_type, "application/json");
    response_.body() = std::move(response.body);
    response_.keep_alive(keep_alive);
    response_.prepare_payload();
    stream_.expires_after(kWriteTimeout);
    http::async_write(stream_, response_,
                      [self = shared_from_this(), keep_alive](const error_code& error, std::size_t) {
                        if (!error && keep_alive) self->read();
                      });
  }

  beast::basic_stream<stream_protocol> stream_;
  const HttpServer::Handler& handler_;
  std::function<void()> on_end_;
  beast::flat_buffer buffer_{HttpServer::kHeaderBytesMax + HttpServer::kBodyBytesMax};
  std::optional<http::request_parser<http::string_body>> parser_;
  http::response<http::string_body> response_;
};

}  // namespace

Response make_response(unsigned status, const json& body) {
  return {status, body.dump(-1, ' ', false, json::error_handler_t::replace) + "\n"};
}
Response make_error(unsigned status, const std::string& sentence) {
  return make_response(status, {{"error", sentence}});
}

struct HttpServer::Impl : std::enable_shared_from_this<HttpServer::Impl> {
  Impl(EventLoop& loop, const std::string& path, const std::string& group, Handler fn)
      : lock(lock_for_serving(path)),
        acceptor(listen_at(loop.context(), path, group)),
        handler(std::move(fn)),
        pause(loop, [this] { accept(); }) {}

  void accept() {
    acceptor.async_accept([weak = weak_from_this()](const error_code& error, stream_protocol::socket socket) {
      const auto self = weak.lock();
      if (!self || error == asio::error::operation_aborted) return;
      self->note_trouble(error);
      // Whoever waits stays in the queue, so that another attempt at once would fail at once, over and over.
      if (error) return self->pause.start(kAcceptAgain);
      self->serve(std::move(socket));
      self->accept();
    });
  }

  void note_trouble(const error_code& error) {
    if (error && !trouble)
      log(Level::warning, "the control socket accepts no connections for now ({}); trying again every {} ms",
          error.message(), kAcceptAgain.count());
    else if (!error && trouble)
      log(Level::info, "the control socket accepts connections again");
    trouble = error;
  }

  void serve(stream_protocol::socket socket) {
    if (connections.size() >= kConnectionsMax) close_oldest();
    const std::uint64_t number = accepted++;
    const auto connection = std::make_shared<Connection>(std::move(socket), handler, [weak = weak_from_this(), number] {
      if (const auto self = weak.lock()) self->connections.erase(number);
    });
    connections.emplace(number, connection);
    connection->read();
  }

  void close_oldest() {
    const auto oldest = connections.extract(connections.begin());
    if (const auto connection = oldest.mapped().lock()) connection->close();
  }

  Descriptor lock;
  stream_protocol::acceptor acceptor;
  Handler handler;
  Timer pause;
  error_code trouble;
  std::uint64_t accepted = 0;
  // By when they were accepted. The numbers are never used again: a connection outlives its entry until its pending
  // operation has ended, and must not take another one's entry along.
  std::map<std::uint64_t, std::weak_ptr<Connection>> connections;
};

HttpServer::HttpServer(EventLoop& loop, const std::string& path, const std::string& group, Handler handler)
    : impl_(std::make_shared<Impl>(loop, path, group, std::move(handler))) {
  impl_->accept();
}
HttpServer::~HttpServer() {
  error_code ignored;
  impl_->acceptor.close(ignored);
  for (const auto& [number, each] : impl_->connections)
    if (const auto connection = each.lock()) connection->close();
}

}  // namespace guideway::controlplane::api
