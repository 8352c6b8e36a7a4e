// For tests of what happens when descriptors run out.
#pragma once

#include <sys/resource.h>

namespace guideway::controlplane {

// As long as it lives, this process gets no further descriptor, and keeps those it has.
class NoDescriptors {
 public:
  NoDescriptors() {
    getrlimit(RLIMIT_NOFILE, &before_);
    const rlimit standard_input_only{1, before_.rlim_max};
    setrlimit(RLIMIT_NOFILE, &standard_input_only);
  }
  ~NoDescriptors() { setrlimit(RLIMIT_NOFILE, &before_); }
  NoDescriptors(const NoDescriptors&) = delete;
  NoDescriptors& operator=(const NoDescriptors&) = delete;

 private:
  rlimit before_{};
};

}  // namespace guideway::controlplane
