#pragma once
#include <string>

namespace pgkeel::engine {

/// Empties it and gives its memory back; assigning an empty string would keep that.
inline void release_memory(std::string& bytes) {
    std::string().swap(bytes);
}

}  // namespace pgkeel::engine
