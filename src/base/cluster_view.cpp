#include "base/cluster_view.hpp"

namespace pgkeel {

const char* to_string(Role role) {
    switch (role) {
        case Role::uninitialized:
            return "uninitialized";
        case Role::primary:
            return "primary";
        case Role::standby_leader:
            return "standby_leader";
        case Role::replica:
            return "replica";
        case Role::demoted:
            return "demoted";
    }
    return "uninitialized";
}

}  // namespace pgkeel
