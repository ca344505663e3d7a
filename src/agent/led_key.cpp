#include "agent/led_key.hpp"

#include "cluster/transactions.hpp"

namespace pgkeel::agent {

Task<Result<bool>> LedKey::write(std::string value, etcd::Revision mod_revision, etcd::Revision epoch,
                                 Deadline deadline) {
    in_doubt_ = true;
    const auto done =
        co_await store_.commit(cluster::write_as_leader(keys_, name_, epoch, key_, value, mod_revision), deadline);
    if (!done) co_return std::unexpected(done.error());
    if (done->succeeded) {
        in_doubt_ = false;
        written_at_ = done->revision;
    }
    co_return done->succeeded;
}

}  // namespace pgkeel::agent
