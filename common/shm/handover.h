// How the two programs exchange descriptors: a Unix SOCK_SEQPACKET socket, RUN_DIR/dataplane.sock, mode 0600.
//
//   data plane (server)                         control plane (client, retries)
//        │ ◄──────────────── connect ──────────────── │
//        │ ── Greeting [stats fd][tables fd in custody] ─► │   the tables fd only if it has one
//        │ ◄─────────── Offer [tables fd] ───────────── │   read-only
//        │ ──────────── Answer{AttachError} ──────────► │
//        │                  … stays open …              │
//
// The open connection says "alive"; its end says "gone, or restarting". Death of the peer is proven by its pidfd only.
// A restarted control plane gets the tables back from the data plane's custody and carries on with them; a restarted
// data plane gets them offered again. A newer control plane replaces an older connection.
//
// Messages are PODs of fixed size; anything else closes the connection. Thread-safety: one thread each.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "common/shm/segment_memory.h"
#include "guideway/segment.h"

namespace guideway::shm {

inline constexpr std::uint32_t kHandoverVersion = 1;

// The data plane's end. Non-blocking: after open() call serve() when fd() (an epoll descriptor) is readable, or now and
// then.
class HandoverServer {
 public:
  // Binds `path`, replacing a stale socket; throws std::system_error with a sentence if another process serves there
  // (told by the lock on PATH.lock, so that nobody has to connect to find out).
  HandoverServer(const std::string& path, Descriptor stats);
  ~HandoverServer();
  // Lets control planes in, who are turned away before: to start takes seconds, and they would wait for the greeting.
  // Throws std::system_error.
  void open();
  int fd() const;
  // `custody`: the tables descriptor to greet with (may be invalid). `offered` is called with each tables descriptor
  // that a control plane offers and returns how it was taken.
  void serve(const Descriptor& custody, const std::function<AttachError(Descriptor)>& offered);
  bool connected() const;  // a control plane is there

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// The control plane's end.
struct Greeting {
  Descriptor connection;  // readable at end of file when the data plane is gone
  Descriptor process;     // pidfd: readable once the data plane is dead
  std::uint32_t pid = 0;
  Descriptor stats;
  Descriptor tables;  // in custody; invalid if there is none
};
// Connects and reads the greeting; waits at most 250 ms for it, because the caller's loop stands still meanwhile.
// std::nullopt with `why` if nobody serves there.
std::optional<Greeting> greet(const std::string& path, std::string& why);
// Offers tables and waits at most 1 s for the answer; AttachError::no_answer if none comes. Unless the result is none,
// `why` says it in a sentence.
AttachError offer(const Greeting& dataplane, const Descriptor& tables_read_only, std::string& why);

}  // namespace guideway::shm
