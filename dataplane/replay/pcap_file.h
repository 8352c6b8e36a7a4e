// Capture files of Ethernet frames, through libpcap. Either byte order, micro- or nanoseconds; pcapng can be read.
// Ownership: a file is open as long as its object lives. Thread-safety: one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "dataplane/batch.h"

struct pcap;
struct pcap_pkthdr;
struct pcap_dumper;

namespace guideway::replay {

struct Frame {
  Ns time{};  // since 1970
  std::span<const std::uint8_t> bytes;
};

class PcapReader {
 public:
  // Throws std::runtime_error, a sentence.
  explicit PcapReader(const std::string& path);
  // The next frame, valid until the next call; none at the end. Throws when the file ends inside a frame.
  std::optional<Frame> next();
  // How many frames so far were longer than what the capture kept of them. They come as long as they were, with zeros
  // in place of what is missing: cut short they would contradict their own lengths.
  std::uint64_t cut_frames() const { return cut_frames_; }

 private:
  struct Close {
    void operator()(pcap* file) const;
  };
  std::span<const std::uint8_t> whole(const pcap_pkthdr& header, const std::uint8_t* kept);

  std::string path_;
  std::unique_ptr<pcap, Close> file_;
  std::vector<std::uint8_t> whole_;
  std::uint64_t cut_frames_ = 0;
};

class PcapWriter {
 public:
  // Throws std::runtime_error, a sentence.
  explicit PcapWriter(const std::string& path);
  void write(const Frame& frame);
  // All that was written is in the file. Throws std::runtime_error if it is not.
  void flush();

 private:
  struct Close {
    void operator()(pcap* file) const;
    void operator()(pcap_dumper* dumper) const;
  };
  std::string path_;
  std::unique_ptr<pcap, Close> format_;
  std::unique_ptr<pcap_dumper, Close> dumper_;
};

}  // namespace guideway::replay
