#pragma once

namespace pgkeel {

/// Lets go of the program's and its libraries' code and constants: pages that are still used come back from the page
/// cache by themselves, those that only the start needed (symbol tables, TLS and LDAP libraries, the YAML reader) do
/// not. An agent's resident memory is then what it works with. See madvise(2), MADV_DONTNEED: they are private mappings
/// of files that nobody has written to.
void release_unused_pages();

/// Keeps in memory what this process has used until now; what it uses later too, if its limits allow that. False: it
/// may be swapped out, or its code be dropped and read again from a disk that hangs.
bool lock_used_memory();

}  // namespace pgkeel
