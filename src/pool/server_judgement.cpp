#include "pool/server.hpp"

#include "log/log.hpp"
#include "pgwire/error_fields.hpp"
#include "pgwire/frontend_builders.hpp"
#include "pgwire/message_types.hpp"
#include "pool/withheld.hpp"
#include "pool/worker.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <ranges>
#include <utility>

// What a server's messages mean, for it and for its partner.

namespace pgkeel::pool {

using pgwire::backend::Report;
using pgwire::backend::Severity;
namespace types = pgwire::backend::types;

bool Server::judge(char type, std::string_view body) {
    const bool any = !answers_.empty();
    const Answer::Kind front = any ? answers_.front().kind : Answer::Kind::query;
    const bool own = any ? answers_.front().way == Answer::Way::swallow : partner_ == nullptr;
    const auto ends = [&](Answer::Kind kind) {
        if (any && front == kind)
            answers_.pop();
        else
            confused_ = true;
    };
    switch (type) {
        case types::parse_complete:
            ends(Answer::Kind::parse);
            return !own;
        case types::bind_complete:
            ends(Answer::Kind::bind);
            return !own;
        case types::close_complete:
            ends(Answer::Kind::close);
            return !own;
        case types::row_description:
        case types::no_data:
            if (any && front == Answer::Kind::describe) answers_.pop();
            return !own;
        case types::command_complete: {
            ignored_syncs_ = 0;
            const std::string_view tag = body.substr(0, body.find('\0'));
            if (!own && (tag == "DEALLOCATE ALL" || tag == "DISCARD ALL")) forget_statements();
            const bool is_known = !own && tell_effects(tag);
            if (!is_known && (tag == "DISCARD ALL" || (!own && (tag == "SET" || tag == "RESET")))) doubt_unreported();
            if (any && front == Answer::Kind::execute) answers_.pop();
            return !own;
        }
        case types::portal_suspended:
            // Perhaps all of it was done.
            if (!own) tell_effects({});
            [[fallthrough]];
        case types::empty_query_response:
            if (any && front == Answer::Kind::execute) answers_.pop();
            return !own;
        case types::copy_in_response:
            if (in_doubt_) refuse_copy();
            if (any) {
                const Answers::Copy copy = answers_.begin_copy();
                ignored_syncs_ = copy.syncs;
                copying_in_ = !copy.has_ended;
                if (partner_ != nullptr) partner_->caught_up();
            }
            return !own;
        case types::copy_both_response:
            copying_both_ = true;
            return !own;
        case types::error_response:
            return judge_error(body);
        case types::parameter_status:
            return judge_parameter(body);
        case types::ready_for_query:
            return judge_ready(body);
        case types::notification_response:
            return partner_ != nullptr;
        case types::notice_response:
            return !is_unconfirmed_commit(body) && !own;
        default:
            return !own;
    }
}

/// Of the statement that has ended at the front. Whether its partner keeps `settings_` true.
bool Server::tell_effects(std::string_view tag) {
    if (partner_ == nullptr) return false;
    Answer::Subject* const subject = answers_.empty() ? nullptr : answers_.front().subject.get();
    if (subject == nullptr || !subject->effects) return partner_->completed(tag, {});
    const SessionEffects& all = *subject->effects;
    if (answers_.front().kind != Answer::Kind::query) return partner_->completed(tag, all);
    const auto those = std::ranges::equal_range(all, subject->completed++, {}, &SessionEffect::statement);
    return partner_->completed(tag, those);
}

void Server::setting_learned(std::string_view name, const std::string* value) {
    const Settings now = value != nullptr ? settings_.with(name, *value) : settings_.without(name);
    settings_ = worker_->shared_settings().share(now);
}

/// Those that it does not report have their defaults.
void Server::settings_forgotten() {
    const Settings had = settings_;
    for (const Setting& setting : had.list())
        if (!is_reported(setting.name)) settings_ = settings_.without(setting.name);
    settings_ = worker_->shared_settings().share(settings_);
}

bool Server::judge_error(std::string_view body) {
    const auto fields = pgwire::backend::read_error_fields(body);
    copying_in_ = false;
    is_doubtful_ = is_doubtful_ || std::exchange(ignored_syncs_, 0) > 0;
    const bool fatal = fields && fields->ends_the_connection();
    if (answers_.empty()) {
        last_words_ = fatal;
        return partner_ != nullptr;
    }
    Answer& front = answers_.front();
    if (is_asking()) {
        own_failed_ = true;
        skip_to_sync();
        return false;
    }
    const bool own = front.kind == Answer::Kind::query && front.way == Answer::Way::swallow;
    has_failed_ |= !own;
    if (partner_ != nullptr && !own) partner_->failed();
    if (front.kind == Answer::Kind::query) {
        if (own) {
            own_failed_ = true;
            settings_error_ = Report{.severity = Severity::error,
                                     .sqlstate = fields ? std::string(fields->sqlstate) : "",
                                     .message = fields ? std::string(fields->message) : "error without a text",
                                     .detail = {},
                                     .hint = {}};
        }
        if (front.subject) front.subject->effects.reset();
        last_words_ = fatal && !own;
        return !own;
    }
    const bool forward = front.subject == nullptr || !say_in_own_name(*front.subject, fields ? fields->sqlstate : "");
    skip_to_sync();
    last_words_ = fatal && forward;
    return forward;
}

/// Where the server's error names a statement that the client knows by another name, or not at all.
bool Server::say_in_own_name(const Answer::Subject& subject, std::string_view sqlstate) {
    const bool taken = subject.taken && sqlstate == "42P05";
    if (!taken && !(subject.unknown && sqlstate == "26000")) return false;
    if (taken) log::info("{} prepared statement '{}' was already prepared", label(), subject.client_name);
    pgwire::Writer writer(made_);
    pgwire::backend::write_error_response(writer,
                                          {.severity = Severity::error,
                                           .sqlstate = std::string(sqlstate),
                                           .message = fmt::format("prepared statement \"{}\" {}", subject.client_name,
                                                                  taken ? "already exists" : "does not exist"),
                                           .detail = {},
                                           .hint = {}});
    return true;
}

/// Its client believes that an error has ended its request, and will send nothing.
void Server::refuse_copy() {
    std::string message;
    pgwire::Writer writer(message);
    pgwire::frontend::write_copy_fail(writer, "the commit before was not confirmed by a synchronous standby");
    wire_->put(message);
}

/// The server ignores everything up to the next Sync (PostgreSQL, "Extended Query").
void Server::skip_to_sync() {
    std::vector<Answer> skipped;
    while (!answers_.empty() && answers_.front().kind != Answer::Kind::sync) skipped.push_back(answers_.pop());
    // The last first: what was closed and prepared again under one name is closed no more.
    for (std::size_t i = skipped.size(); i-- > 0;) undo(skipped[i], i == 0);
    skipping_ = answers_.empty();
}

/// \param failed  it is the one that had the error, not one behind it
void Server::undo(Answer& answer, bool failed) {
    if (!answer.subject) return;
    const Answer::Subject& subject = *answer.subject;
    const bool of_client = !subject.client_name.empty() && !subject.taken && partner_ != nullptr;
    if (answer.kind == Answer::Kind::parse) {
        if (subject.statement && answer.way != Answer::Way::make) statements_.remove(subject.statement->number);
        if (of_client && failed)
            partner_->statement_failed(subject.client_name);
        else if (of_client)
            partner_->statement_skipped(subject.client_name);
    } else if (answer.kind == Answer::Kind::close && subject.statement) {
        if (of_client)
            partner_->statement_kept(subject.client_name, subject.statement);
        else if (subject.client_name.empty())
            statements_.keep(subject.statement);
    }
}

/// At the client's wish. What it has sent since is prepared after that.
void Server::forget_statements() {
    statements_.clear();
    partner_->statements_forgotten();
    for (std::size_t i = 0; i < answers_.size(); ++i) {
        const Answer& answer = answers_[i];
        if (!answer.subject || !answer.subject->statement) continue;
        const StatementRef& statement = answer.subject->statement;
        const std::string& client_name = answer.subject->client_name;
        const bool of_client = !client_name.empty() && !answer.subject->taken;
        if (answer.kind == Answer::Kind::parse) {
            if (answer.way != Answer::Way::make) statements_.keep(statement);
            if (of_client) partner_->statement_kept(client_name, statement);
        } else if (answer.kind == Answer::Kind::close && of_client) {
            partner_->statement_failed(client_name);
        }
    }
}

bool Server::judge_parameter(std::string_view body) {
    const bool own = !answers_.empty() && answers_.front().way == Answer::Way::swallow;
    const auto parameter = pgwire::backend::read_parameter_status(body);
    if (parameter && worker_->tracks(parameter->name)) {
        settings_ = worker_->shared_settings().share(settings_.with(parameter->name, parameter->value));
        if (partner_ != nullptr) partner_->setting_reported(parameter->name, parameter->value);
    }
    return !own && partner_ != nullptr;
}

bool Server::judge_ready(std::string_view body) {
    const auto status = pgwire::backend::read_ready_for_query(body);
    if (!status) {
        confused_ = true;
        return false;
    }
    // One that is passed on unasked would end the next client's question, and its rows would be another's.
    if (answers_.empty() && !is_doubtful_) {
        confused_ = true;
        return false;
    }
    status_ = *status;
    bool own = partner_ == nullptr;
    while (!answers_.empty()) {
        const Answer over = answers_.pop();
        own = over.way == Answer::Way::swallow;
        // The text was cut into other statements than the server has found.
        if (over.kind == Answer::Kind::query && over.subject && over.subject->effects && partner_ != nullptr)
            for (const SessionEffect& effect : *over.subject->effects)
                if (effect.statement >= over.subject->completed) partner_->completed({}, {&effect, 1});
        if (over.kind == Answer::Kind::query || over.kind == Answer::Kind::sync) break;
    }
    skipping_ = copying_in_ = copying_both_ = in_doubt_ = false;
    ignored_syncs_ = 0;
    ready_now_ = true;
    ready_own_ = own;
    if (own && is_asking()) {
        confirmation_is_over();
        return false;
    }
    if (!own) judge_suspicion();
    if (!own && partner_ != nullptr) partner_->transaction_is(status_);
    return !own;
}

void Server::settings_answered() {
    if (!settings_error_) {
        const Settings had = settings_;
        for (const Setting& setting : wanted_.list()) {
            const std::string* reported = is_reported(setting.name) ? settings_.find(setting.name) : nullptr;
            if (reported == nullptr) {
                settings_ = settings_.with(setting.name, setting.value);
            } else if (*reported != setting.value) {
                // No change was reported, or another spelling: it has the same meaning, written in the server's way.
                log::debug("{} varcache_set_canonical: setting {} to its canonical version {} -> {}", label(),
                           setting.name, setting.value, *reported);
                if (partner_ != nullptr) partner_->setting_reported(setting.name, *reported);
            }
        }
        for (const Setting& setting : had.list())
            if (!is_reported(setting.name) && wanted_.find(setting.name) == nullptr)
                settings_ = settings_.without(setting.name);
        settings_ = worker_->shared_settings().share(settings_);
    }
    wanted_ = {};
    if (partner_ != nullptr) partner_->settings_applied(settings_error_ ? &*settings_error_ : nullptr);
}

/// They may have been changed, and the server does not say so: for whoever comes next they are set anew.
void Server::doubt_unreported() {
    constexpr std::string_view unknown("\0", 1);  // no client can want it
    const Settings had = settings_;
    for (const Setting& setting : had.list())
        if (!is_reported(setting.name)) settings_ = settings_.with(setting.name, unknown);
}

void Server::after_ready() {
    if (state_ == State::setting_up) return ready();
    if (state_ == State::testing) {
        if (own_failed_) return fail({Severity::fatal, "08006", "test query failed", "", ""});
        Client* const client = worker_->client(*std::exchange(tested_for_, std::nullopt));
        return client != nullptr && client->wants() ? link(client->partner()) : release();
    }
    if (state_ == State::cleaning) {
        if (own_failed_) return end("reset query failed");
        if (std::exchange(is_resetting_, false)) {
            statements_.clear();
            return go_idle();
        }
        return clean_up();
    }
    if (ready_own_) return settings_answered();
    if (is_quiet()) return partner_->answered();
    partner_->caught_up();
}

}  // namespace pgkeel::pool
