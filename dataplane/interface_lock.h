// One data plane per network interface: whoever holds the lock may change what is attached to it.
//
// The lock is the abstract Unix socket @guideway/interface/INDEX. Such a name belongs to the network namespace, as the
// interface does, so that data planes with other files and other run directories meet there, too; and the kernel lets
// go of it when its process is gone, however that ended. Thread-safety: none.
#pragma once

#include <string>

#include "common/descriptor.h"

namespace guideway {

class InterfaceLock {
 public:
  // `name`, `where`: of the interface and the port, for the sentence. Throws StartError when somebody holds it.
  InterfaceLock(unsigned interface_index, const std::string& name, const std::string& where);
  unsigned index() const { return index_; }
  const std::string& name() const { return name_; }

 private:
  unsigned index_;
  std::string name_;
  Descriptor socket_;
};

}  // namespace guideway
