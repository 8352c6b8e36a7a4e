// The only user of Boost in guidewayctl.

#include "controlplane/ctl/api_client.h"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <exception>

namespace guideway::ctl {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using Stream = beast::basic_stream<asio::local::stream_protocol>;
using Request = http::request<http::string_body>;
using Response = http::response<http::string_body>;

constexpr std::uint64_t kBodyBytesMax = 256 << 20;  // the status of 32,768 backends is some 16 MiB

asio::awaitable<void> talk(std::string path, const Request& request, Response& response) {
  Stream stream(co_await asio::this_coro::executor);
  stream.expires_after(kAnswerTimeout);
  co_await stream.async_connect(asio::local::stream_protocol::endpoint(path), asio::use_awaitable);
  co_await http::async_write(stream, request, asio::use_awaitable);
  beast::flat_buffer buffer;
  http::response_parser<http::string_body> parser;
  parser.body_limit(kBodyBytesMax);
  co_await http::async_read(stream, buffer, parser, asio::use_awaitable);
  response = parser.release();
}

Response round_trip(const std::string& path, const Request& request) {
  asio::io_context context;
  Response response;
  std::exception_ptr failure;
  asio::co_spawn(context, talk(path, request, response), [&](std::exception_ptr e) { failure = std::move(e); });
  context.run();
  if (failure) std::rethrow_exception(failure);
  return response;
}

std::string sentence(const std::string& path, const boost::system::error_code& error) {
  namespace errc = boost::system::errc;
  if (error == errc::no_such_file_or_directory || error == errc::not_a_directory)
    return "guideway-controlplane is not running: there is no " + path + "; start it, or name its socket with --socket";
  if (error == errc::connection_refused)
    return "guideway-controlplane is not running: nobody listens on " + path + "; start it";
  if (error == errc::permission_denied)
    return "you may not use " + path + "; become root or a member of its group ([control] socket_group)";
  if (error == beast::error::timeout)
    return "guideway-controlplane gave no answer in " + std::to_string(kAnswerTimeout.count()) +
           " seconds; see what it does in its log";
  if (error == http::error::end_of_stream || error == errc::broken_pipe || error == errc::connection_reset)
    return "guideway-controlplane closed " + path + " without an answer; see why in its log";
  return "no answer from guideway-controlplane on " + path + " (" + error.message() + "); see its log";
}

}  // namespace

nlohmann::json ApiClient::get(const std::string& path) const {
  return request(false, path, "");
}

nlohmann::json ApiClient::post(const std::string& path, const nlohmann::json& body) const {
  return request(true, path, body.dump());
}

nlohmann::json ApiClient::request(bool is_post, const std::string& path, std::string body) const {
  Request request(is_post ? http::verb::post : http::verb::get, path, 11);
  request.set(http::field::host, "guideway");
  request.set(http::field::content_type, "application/json");
  request.keep_alive(false);
  request.body() = std::move(body);
  request.prepare_payload();
  Response response;
  try {
    response = round_trip(socket_path_, request);
  } catch (const boost::system::system_error& error) {
    throw Unreachable(sentence(socket_path_, error.code()));
  }
  auto answer = nlohmann::json::parse(response.body(), nullptr, false);
  if (!answer.is_object())
    throw Refused("what answers on " + socket_path_ + " is not guideway-controlplane; name its socket with --socket");
  if (response.result() == http::status::ok) return answer;
  throw Refused(answer.value("error", "guideway-controlplane answered " + std::to_string(response.result_int())));
}

}  // namespace guideway::ctl
