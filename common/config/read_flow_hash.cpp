#include "common/config/key_file.h"
#include "common/config/sections.h"

namespace guideway::config {

void read_flow_hash(Section& root, const std::string& directory, FlowHash& flow_hash) {
  root.in("flow_hash", [&](Section& section) {
    section.optional("key_file", flow_hash.secret, key_file(directory));
    flow_hash.is_default = !section.has("key_file");
    if (flow_hash.is_default)
      section.review().warning(section.place(),
                               "no flow_hash.key_file: the flow hash key is a published one, fit for labs only");
  });
}

}  // namespace guideway::config
