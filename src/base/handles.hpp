#pragma once
#include <memory>

namespace pgkeel {

/// A deleter made of a C library's free function: `using PgConn = std::unique_ptr<PGconn, FreeWith<PQfinish>>;`
template <auto free_function>
struct FreeWith {
    template <class T>
    void operator()(T* pointer) const noexcept {
        free_function(pointer);
    }
};

}  // namespace pgkeel
