// What operators decided about backends, beside the configuration: drained, for ever or until a deadline, or another
// weight. Intents outlive the control plane: they are kept in a file of their own, replaced as a whole (written aside,
// synced, renamed), so that a crash at any moment leaves either the old or the new ones.
//
// An intent names its backend by pool and name, and is kept while the configuration does not know that backend.
// Thread-safety: one thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace guideway::controlplane {

struct BackendName {
  std::string pool;
  std::string name;
  friend auto operator<=>(const BackendName&, const BackendName&) = default;
};
inline std::string to_text(const BackendName& backend) {
  return backend.pool + "/" + backend.name;
}

// By SteadyWallClock, which goes on while this program or the host is off.
using Deadline = std::chrono::sys_time<std::chrono::milliseconds>;

struct Intent {
  bool drained = false;
  std::optional<Deadline> deadline{};   // of the drain: then it is removed, and loses the connections it still has
  std::optional<std::uint16_t> weight;  // in place of the configured one
  std::string reason;                   // the operator's words
  bool empty() const { return !drained && !weight; }
  bool removes(Deadline now) const { return drained && deadline && *deadline <= now; }
  friend bool operator==(const Intent&, const Intent&) = default;
};
using Intents = std::map<BackendName, Intent>;

class IntentsFile {
 public:
  // `state_dir` is created if need be. Throws std::system_error.
  explicit IntentsFile(const std::string& state_dir);

  // What is stored; none if there is no file yet. A file that cannot be understood is renamed to "intents.json.bad",
  // now or if that fails before the next store(), and `warning` says so: an operator's typo must not keep the control
  // plane from starting. Throws std::system_error when the file is there but cannot be read.
  Intents load(std::string& warning);

  // After this returns the intents survive a crash of the host. Throws std::system_error with a sentence.
  void store(const Intents& intents);

  // Whether somebody took away what was stored or loaded.
  bool is_behind() const;

 private:
  std::string kept_where();
  void put_aside();

  std::string path_;
  std::string aside_;      // for a file that cannot be understood
  bool is_there_ = false;  // a file that says what we know, unless somebody took it away
  bool is_bad_ = false;    // what is under path_ cannot be, and nobody has another copy
};

}  // namespace guideway::controlplane
