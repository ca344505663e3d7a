#include "base/version.hpp"

namespace pgkeel {

const char* version() {
    return PGKEEL_VERSION;
}
const char* patroni_version() {
    return "4.1.4";
}

}  // namespace pgkeel
