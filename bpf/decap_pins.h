// Pins of the decapsulation program in the BPF file system, so that other tools (bpftool, exporters) find its maps by
// path: /sys/fs/bpf/guideway/NETNS/INTERFACE/{program,sources,locals,config,counters}. NETNS is the inode number of
// the network namespace, as `stat -L -c %i /proc/self/ns/net` prints it: interfaces of the same name do not meet.
//
// All functions throw std::runtime_error: one sentence that says what is wrong, where, and what to do.
// Thread-safety: none.
#pragma once

#include <filesystem>
#include <string>

#include "bpf/attached_program.h"

namespace guideway::bpf {

std::filesystem::path decap_pin_directory(const std::string& interface);

// Throws when there is no BPF file system to pin in.
void require_bpf_file_system();

// Pins the program, in place of an earlier one. REQUIRES: a BPF file system.
void pin_decap(const AttachedProgram& program, const std::string& interface);

// Says whether there were pins.
bool unpin_decap(const std::string& interface);

}  // namespace guideway::bpf
