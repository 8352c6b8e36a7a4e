#include "dataplane/replay/pcap_file.h"

#include <pcap/pcap.h>

#include <algorithm>
#include <array>
#include <stdexcept>

namespace guideway::replay {
namespace {

constexpr int kFrameBytesMax = 262144;  // what libpcap itself takes for the largest

using std::chrono::nanoseconds;
using std::chrono::seconds;

}  // namespace

void PcapReader::Close::operator()(pcap* file) const {
  pcap_close(file);
}
void PcapWriter::Close::operator()(pcap* file) const {
  pcap_close(file);
}
void PcapWriter::Close::operator()(pcap_dumper* dumper) const {
  pcap_dump_close(dumper);
}

PcapReader::PcapReader(const std::string& path) : path_(path) {
  std::array<char, PCAP_ERRBUF_SIZE> why{};
  file_.reset(pcap_open_offline_with_tstamp_precision(path.c_str(), PCAP_TSTAMP_PRECISION_NANO, why.data()));
  if (!file_) throw std::runtime_error("cannot read the capture file: " + std::string(why.data()));
  if (const int type = pcap_datalink(file_.get()); type != DLT_EN10MB) {
    const char* name = pcap_datalink_val_to_name(type);
    throw std::runtime_error(path + " holds no Ethernet frames but " + (name != nullptr ? name : std::to_string(type)) +
                             "; capture on an Ethernet interface");
  }
}

std::optional<Frame> PcapReader::next() {
  pcap_pkthdr* header = nullptr;
  const u_char* bytes = nullptr;
  const int result = pcap_next_ex(file_.get(), &header, &bytes);
  if (result == PCAP_ERROR_BREAK) return std::nullopt;
  if (result != 1) throw std::runtime_error(path_ + " is damaged: " + pcap_geterr(file_.get()));
  return Frame{seconds(header->ts.tv_sec) + nanoseconds(header->ts.tv_usec), whole(*header, bytes)};
}

std::span<const std::uint8_t> PcapReader::whole(const pcap_pkthdr& header, const std::uint8_t* kept) {
  const bpf_u_int32 frame_bytes = std::min<bpf_u_int32>(header.len, kFrameBytesMax);
  if (header.caplen >= frame_bytes) return {kept, header.caplen};
  cut_frames_++;
  whole_.assign(frame_bytes, 0);
  std::copy_n(kept, header.caplen, whole_.begin());
  return whole_;
}

PcapWriter::PcapWriter(const std::string& path) : path_(path) {
  format_.reset(pcap_open_dead_with_tstamp_precision(DLT_EN10MB, kFrameBytesMax, PCAP_TSTAMP_PRECISION_MICRO));
  if (format_) dumper_.reset(pcap_dump_open(format_.get(), path.c_str()));
  if (!dumper_)
    throw std::runtime_error("cannot write the capture file: " +
                             (format_ ? std::string(pcap_geterr(format_.get())) : path));
}

void PcapWriter::write(const Frame& frame) {
  pcap_pkthdr header{};
  const auto whole = std::chrono::duration_cast<seconds>(frame.time);
  header.ts.tv_sec = whole.count();
  header.ts.tv_usec = std::chrono::duration_cast<std::chrono::microseconds>(frame.time - whole).count();
  header.caplen = header.len = static_cast<bpf_u_int32>(frame.bytes.size());
  pcap_dump(reinterpret_cast<u_char*>(dumper_.get()), &header, frame.bytes.data());
}

void PcapWriter::flush() {
  if (pcap_dump_flush(dumper_.get()) != 0 || ferror(pcap_dump_file(dumper_.get())) != 0)
    throw std::runtime_error(path_ + " could not be written completely; is the disk full?");
}

}  // namespace guideway::replay
