#include "log/log.hpp"
#include "pgwire/frontend_readers.hpp"
#include "pgwire/message_types.hpp"
#include "pool/client.hpp"
#include "pool/worker.hpp"

#include <utility>

// What a client leaves in its session while it changes servers: plain settings go with it, and for anything else it
// keeps the server. As PgBouncer it does neither.

namespace pgkeel::pool {

namespace types = pgwire::frontend::types;
using Kind = pgwire::Front::Kind;

namespace {

/// Of a longer text only the beginning is looked at, and what the tags of its answers tell.
constexpr std::size_t seen_text_max = 1 << 16;
/// More than these are not carried from server to server.
constexpr std::size_t settings_max = 64;

/// What the tag of a statement says whose text was not seen.
PinReasons reasons_of(std::string_view tag) {
    if (tag == "SET" || tag == "RESET") return PinReason::setting;
    if (tag == "LISTEN") return PinReason::listen;
    if (tag == "PREPARE") return PinReason::prepare;
    if (tag == "LOAD") return PinReason::load;
    return {};
}

}  // namespace

bool Client::watches_session() const {
    return mode_ != config::PoolMode::session && !opening_ && !worker_.config().settings.pgbouncer_compat;
}

bool Client::is_text_here(const pgwire::Front& front) {
    return front.kind == Kind::whole || front.bytes >= seen_text_max;
}

bool Client::waits_for_text(const pgwire::Front& front) const {
    const char type = front.head.type;
    const bool is_needed =
        type == types::query || type == types::parse || (type == types::execute && portals_ != nullptr);
    return is_needed && watches_session() && !is_text_here(front);
}

/// What the server's answer to this message will have left.
std::unique_ptr<Answer::Subject> Client::subject_of(const pgwire::Front& front, std::string_view bytes) {
    const char type = front.head.type;
    if ((type != types::query && type != types::parse && (type != types::execute || !portals_)) || !watches_session())
        return nullptr;
    const std::string_view body = front.body(bytes);
    SessionEffectsRef effects;
    if (type == types::query) {
        effects = shared_session_effects(body.substr(0, body.find('\0')));
    } else if (type == types::execute) {
        const auto execute = pgwire::frontend::read_execute(body);
        if (!execute) return nullptr;
        if (const auto found = portals_->find(std::string(execute->portal)); found != portals_->end())
            effects = found->second;
    } else if (!tracks_statements()) {
        // Which Execute is one of this statement is not followed.
        const auto parse = pgwire::frontend::read_parse(body);
        if (!parse) return nullptr;
        for (const SessionEffect& effect : session_effects(parse->query))
            if (effect.kind != SessionEffect::Kind::nothing && effect.kind != SessionEffect::Kind::unpin)
                session().pin(effect.reasons.none() ? PinReasons(PinReason::setting) : effect.reasons);
    }
    if (!effects) return nullptr;
    return std::make_unique<Answer::Subject>(
        Answer::Subject{.statement = {}, .client_name = {}, .effects = std::move(effects)});
}

void Client::note_parse(const pgwire::frontend::Parse& parse) {
    if (parse.name.empty() && watches_session()) unnamed_effects_ = shared_session_effects(parse.query);
}

/// \param statement  null: the unnamed one, or none
void Client::note_bind(const pgwire::frontend::BindNames& names, const Statement* statement) {
    const SessionEffectsRef& effects = statement != nullptr ? statement->effects : unnamed_effects_;
    if ((!effects && !portals_) || !watches_session()) return;
    if (!portals_) portals_ = std::make_unique<std::map<std::string, SessionEffectsRef>>();
    (*portals_)[std::string(names.portal)] = effects;
}

void Client::forget_portals() {
    portals_.reset();
    unnamed_effects_.reset();
}

SessionState& Client::session() {
    if (!session_) session_ = std::make_unique<SessionState>();
    return *session_;
}

bool Client::completed(std::string_view tag, std::span<const SessionEffect> effects) {
    if (!watches_session()) return false;
    if (session_) session_->completed(tag);
    if (effects.empty()) {
        const PinReasons reasons = reasons_of(tag);
        if (!reasons.none()) session().may_have_done(reasons);
        return reasons.none() && tag != "DISCARD ALL";
    }
    for (const SessionEffect& effect : effects) {
        // What the server tells by itself is learned from that.
        if (effect.kind == SessionEffect::Kind::nothing || server_->is_reported(effect.name)) continue;
        session().done(effect);
    }
    return true;
}

void Client::transaction_is(pgwire::backend::TransactionStatus status) {
    if (!session_) return;
    const PinReasons before = session_->pins();
    const auto changes = session_->ready(status);
    for (const SessionState::Change& change : changes) change_setting(change);
    if (!changes.empty()) {
        settings_ = worker_.shared_settings().share(settings_);
        worker_.prove(*pool_, settings_);
    }
    const PinReasons now = session_->pins();
    if (!now.none()) server_->must_reset();
    if (now != before) log::debug("{} keeps its server: {}", label(), now.none() ? "no longer" : now.text());
    if (status == pgwire::backend::TransactionStatus::idle && session_->is_over()) session_.reset();
}

void Client::change_setting(const SessionState::Change& change) {
    const auto reset = [this](const std::string& name) {
        const std::string* at_login = login_settings_.find(name);
        settings_ = at_login != nullptr ? settings_.with(name, *at_login) : settings_.without(name);
    };
    switch (change.kind) {
        case SessionEffect::Kind::set:
            if (settings_.size() >= settings_max && settings_.find(change.name) == nullptr)
                return session_->pin(PinReason::setting);
            settings_ = settings_.with(change.name, change.value);
            return server_->setting_learned(change.name, &change.value);
        case SessionEffect::Kind::reset:
            reset(change.name);
            return server_->setting_learned(change.name, nullptr);
        default: {
            const Settings had = settings_;
            for (const Setting& setting : had.list())
                if (!server_->is_reported(setting.name)) reset(setting.name);
            return server_->settings_forgotten();
        }
    }
}

}  // namespace pgkeel::pool
