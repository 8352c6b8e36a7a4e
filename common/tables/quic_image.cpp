#include "common/tables/quic_image.h"

#include "common/tables/image_object.h"

namespace guideway {
namespace {

aes::RoundKeys round_keys(const QuicLayout& layout) {
  switch (layout.shape.kind) {
    case QuicLayoutKind::single_pass:
      return aes::decryption_keys(layout.secret);
    case QuicLayoutKind::four_pass:
      return aes::encryption_keys(layout.secret);
    default:
      return {};
  }
}

QuicDecoders make_decoders(const QuicLayouts& layouts) {
  QuicDecoders decoders{};
  for (std::size_t i = 0; i < layouts.size(); i++) {
    decoders.shapes[i] = layouts[i].shape;
    decoders.keys[i] = round_keys(layouts[i]);
  }
  return decoders;
}

}  // namespace

ImageObjectPtr make_quic(const DesiredPool& pool) {
  if (!pool.quic) return nullptr;
  std::size_t ids = 0;
  for (const DesiredBackend& backend : pool.backends) ids += backend.server_ids.size();
  IndexBuilder<QuicServerEntry> index(ids);
  for (std::size_t i = 0; i < pool.backends.size(); i++)
    for (const QuicServerId& id : pool.backends[i].server_ids) index.insert({id, static_cast<BackendId>(i)});
  const QuicDecoders decoders = make_decoders(*pool.quic);
  return index.object(ObjectKind::quic, std::as_bytes(std::span(&decoders, 1)));
}

bool same_quic(const DesiredPool& a, const DesiredPool& b) {
  const auto same_ids = [](const DesiredBackend& x, const DesiredBackend& y) { return x.server_ids == y.server_ids; };
  return a.quic == b.quic &&
         std::equal(a.backends.begin(), a.backends.end(), b.backends.begin(), b.backends.end(), same_ids);
}

}  // namespace guideway
