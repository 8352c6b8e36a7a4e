#include "controlplane/health/prober.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>
#include <cerrno>
#include <deque>
#include <optional>

#include "common/net/address_text.h"

namespace guideway::controlplane {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::system::error_code;
using Done = std::function<void(const ProbeResult&)>;
using Verdict = ProbeResult::Verdict;

namespace {

constexpr std::uint32_t kHeaderBytesMax = 8192;
constexpr int kInterimAnswersMax = 8;

struct LocalError {
  int error;
  const char* remedy;
};

// What this host lacks, whatever the target is like.
constexpr LocalError kLocalErrors[] = {
    {EMFILE, "raise the limit of descriptors (LimitNOFILE of its service, or ulimit -n)"},
    {ENFILE, "raise the host's limit of open files (sysctl fs.file-max)"},
    {ENOBUFS, "free memory, or give the host more"},
    {ENOMEM, "free memory, or give the host more"},
    {EADDRNOTAVAIL, "see that the host has an address of that family, and source ports (net.ipv4.ip_local_port_range)"},
};

const LocalError* local_error(const error_code& error) {
  if (error.category() != boost::system::system_category()) return nullptr;
  const auto* const found = std::ranges::find(kLocalErrors, error.value(), &LocalError::error);
  return found == std::end(kLocalErrors) ? nullptr : found;
}

asio::ip::address to_asio(const IpAddress& address) {
  if (address.is_v4()) return asio::ip::address_v4(address.v4().host());
  return asio::ip::address_v6(address.bytes);
}

std::string describe(const error_code& error, const config::HealthCheck& check) {
  if (error == beast::error::timeout) return fmt::format("no answer within {} ms", check.timeout.count());
  if (error == http::error::end_of_stream || error == http::error::partial_message)
    return "connection closed before an answer";
  if (error.category() == http::make_error_code(http::error::bad_version).category())
    return fmt::format("the answer is not HTTP ({})", error.message());
  std::string text = error.message();
  if (!text.empty()) text[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(text[0])));
  const LocalError* const local = local_error(error);
  return local == nullptr ? text : fmt::format("{}; {}", text, local->remedy);
}

// One check under way; keeps itself alive through its pending handlers.
class Probe : public std::enable_shared_from_this<Probe> {
 public:
  Probe(asio::io_context& context, const IpAddress& address, config::HealthCheck check, Done done)
      : stream_(context), address_(address), check_(std::move(check)), done_(std::move(done)) {}

  void start() {
    stream_.expires_after(check_.timeout);
    stream_.async_connect({to_asio(address_), check_.port},
                          [self = shared_from_this()](const error_code& error) { self->connected(error); });
  }

 private:
  void connected(const error_code& error) {
    if (error) return fail(error);
    if (check_.type == config::CheckType::tcp) return finish(Verdict::good, "connected");
    request_ = {http::verb::get, check_.path, 11};
    request_.set(http::field::host, check_.host.empty() ? to_text_with_port(address_, check_.port) : check_.host);
    request_.set(http::field::user_agent, "guideway-health-check");
    request_.set(http::field::connection, "close");
    http::async_write(stream_, request_, [self = shared_from_this()](const error_code& e, std::size_t) {
      if (e) return self->fail(e);
      self->read_answer();
    });
  }

  void read_answer() {
    answer_.emplace();
    answer_->header_limit(kHeaderBytesMax);
    answer_->skip(true);  // the body, so that its length does not matter either
    http::async_read_header(stream_, buffer_, *answer_, [self = shared_from_this()](const error_code& e, std::size_t) {
      if (e) return self->fail(e);
      self->judge(self->answer_->get().result_int());
    });
  }

  void judge(unsigned status) {
    if (status < 200) {
      if (interim_answers_++ < kInterimAnswersMax) return read_answer();
      return finish(Verdict::bad, fmt::format("more than {} interim answers (status {})", kInterimAnswersMax, status));
    }
    if (status >= check_.expect_status_min && status <= check_.expect_status_max)
      return finish(Verdict::good, fmt::format("status {}", status));
    finish(Verdict::bad,
           check_.expect_status_min == check_.expect_status_max
               ? fmt::format("status {}, expected {}", status, check_.expect_status_min)
               : fmt::format("status {}, expected {}-{}", status, check_.expect_status_min, check_.expect_status_max));
  }

  void fail(const error_code& error) {
    finish(local_error(error) == nullptr ? Verdict::bad : Verdict::none, describe(error, check_));
  }

  void finish(Verdict verdict, std::string reason) {
    error_code ignored;
    stream_.socket().set_option(asio::socket_base::linger(true, 0), ignored);
    stream_.close();
    done_({verdict, std::move(reason)});
  }

  beast::tcp_stream stream_;
  IpAddress address_;
  config::HealthCheck check_;
  Done done_;
  http::request<http::empty_body> request_;
  beast::flat_buffer buffer_{kHeaderBytesMax};
  std::optional<http::response_parser<http::empty_body>> answer_;
  int interim_answers_ = 0;
};

}  // namespace

struct Prober::Impl : std::enable_shared_from_this<Prober::Impl> {
  struct Waiting {
    IpAddress address;
    config::HealthCheck check;
    Done done;
  };

  Impl(asio::io_context& io, std::size_t most) : context(io), under_way_max(most) {}

  void start_waiting() {
    while (under_way < under_way_max && !waiting.empty()) {
      Waiting next = std::move(waiting.front());
      waiting.pop_front();
      under_way++;
      std::make_shared<Probe>(context, next.address, std::move(next.check),
                              [weak = weak_from_this(), done = std::move(next.done)](const ProbeResult& result) {
                                const auto self = weak.lock();
                                if (!self) return;
                                self->under_way--;
                                done(result);
                                self->start_waiting();
                              })
          ->start();
    }
  }

  asio::io_context& context;
  std::size_t under_way_max;
  std::size_t under_way = 0;
  std::deque<Waiting> waiting;
};

Prober::Prober(EventLoop& loop, std::size_t under_way_max)
    : impl_(std::make_shared<Impl>(loop.context(), under_way_max)) {}
Prober::~Prober() = default;

void Prober::probe(const IpAddress& address, const config::HealthCheck& check, Done done) {
  impl_->waiting.push_back({address, check, std::move(done)});
  impl_->start_waiting();
}

}  // namespace guideway::controlplane
