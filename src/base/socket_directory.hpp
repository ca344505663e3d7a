#pragma once
#include <string>

namespace pgkeel {

/// The name of a directory that no other directory of any machine has: this boot of the kernel, device and inode. Empty
/// when it cannot be told. Equal ids mean one directory, through whatever containers and mounts it is looked at.
///
/// An agent publishes it for the directory of its server's Unix socket, and whoever wants to use that socket compares
/// it with what is at the same path where he is. Blocks for as long as stat() does.
std::string socket_directory_id(const std::string& directory);

}  // namespace pgkeel
