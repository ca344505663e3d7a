#include "proxy/access.hpp"

#include "config/source.hpp"
#include "log/log.hpp"

namespace pgkeel::proxy {

Result<std::shared_ptr<const pool::Access>> load_access(const config::PoolerConfig& config) {
    const config::PoolerSettings& settings = config.settings;
    auto access = std::make_shared<pool::Access>();
    if (!settings.auth_file.empty()) {
        const auto text = config::read_file(settings.auth_file);
        auto users = text ? auth::parse_auth_file(*text, settings.auth_file)
                          : Result<auth::Users>(std::unexpected(text.error()));
        if (!users && !settings.pgbouncer_compat) return std::unexpected(std::move(users.error()));
        if (users)
            access->users = std::move(*users);
        else
            log::warning("auth_file: {}", users.error().line());
    }
    const bool obeys_hba = settings.auth_type == config::AuthType::hba;
    if (obeys_hba && !settings.auth_hba_file.empty()) {
        const auto text = config::read_file(settings.auth_hba_file);
        if (!text) return std::unexpected(text.error());
        auto hba = auth::Hba::parse(*text, settings.auth_hba_file, config::read_file);
        if (!hba) return std::unexpected(std::move(hba.error()));
        access->hba = std::move(*hba);
    }
    if (!settings.auth_ident_file.empty()) {
        const auto text = config::read_file(settings.auth_ident_file);
        if (!text) return std::unexpected(text.error());
        auto maps = auth::IdentMaps::parse(*text, settings.auth_ident_file, config::read_file);
        if (!maps) return std::unexpected(std::move(maps.error()));
        access->ident_maps = std::move(*maps);
    }
    return access;
}

}  // namespace pgkeel::proxy
