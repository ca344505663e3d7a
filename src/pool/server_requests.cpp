#include "pool/server.hpp"

#include "pgwire/frontend_builders.hpp"
#include "pool/withheld.hpp"
#include "pool/worker.hpp"

#include <utility>

// What a server is asked, beside what its partner sends.

namespace pgkeel::pool {

using pgwire::frontend::Target;

void Server::expect(Answer::Kind kind, Answer::Way way, std::unique_ptr<Answer::Subject> subject) {
    if (skipping_) {
        if (kind != Answer::Kind::sync) return;
        skipping_ = false;
    }
    answers_.push({kind, way, std::move(subject)});
}

void Server::expect_sync() {
    if (copying_in_)
        ++ignored_syncs_;
    else
        expect(Answer::Kind::sync);
}

void Server::end_copy_in() {
    if (copying_in_)
        copying_in_ = false;
    else if (!answers_.empty())
        expect(Answer::Kind::copy_end);
}

void Server::answer_what_is_due() {
    while (!answers_.empty() && answers_.front().way == Answer::Way::make) {
        const Answer made = answers_.pop();
        std::string message;
        pgwire::Writer writer(message);
        if (made.kind == Answer::Kind::parse)
            pgwire::backend::write_parse_complete(writer);
        else
            pgwire::backend::write_close_complete(writer);
        if (withheld_ != nullptr)
            withheld_->messages += message;
        else if (partner_ != nullptr && !in_doubt_)
            partner_->deliver(message);
    }
}

void Server::prepare(const StatementRef& statement, std::size_t most) {
    if (statements_.use(*statement)) return;
    ++worker_->stats(pool_).server_parses;
    std::string messages;
    pgwire::Writer writer(messages);
    for (StatementRef& evicted : statements_.add(statement, most)) {
        pgwire::frontend::write_close(writer, {Target::Kind::statement, evicted->server_name});
        expect(Answer::Kind::close, Answer::Way::swallow,
               std::make_unique<Answer::Subject>(Answer::Subject{std::move(evicted), "", false}));
    }
    pgwire::frontend::write_parse(writer, statement->server_name,
                                  {.name = {}, .query = statement->query, .types = {statement->types}});
    expect(Answer::Kind::parse, Answer::Way::swallow,
           std::make_unique<Answer::Subject>(Answer::Subject{statement, "", false}));
    wire_->put(messages);
}

void Server::parse(const StatementRef& statement, const std::string& client_name, std::size_t most) {
    auto subject = std::make_unique<Answer::Subject>(Answer::Subject{statement, client_name, false});
    if (statements_.use(*statement)) {
        expect(Answer::Kind::parse, Answer::Way::make, std::move(subject));
        return;
    }
    prepare(statement, most);
    Answer& asked = answers_[answers_.size() - 1];
    asked.way = Answer::Way::forward;
    asked.subject = std::move(subject);
}

void Server::parse_again(const StatementRef& statement, const std::string& client_name, std::size_t most) {
    prepare(statement, most);
    std::string message;
    pgwire::Writer writer(message);
    pgwire::frontend::write_parse(writer, statement->server_name,
                                  {.name = {}, .query = statement->query, .types = {statement->types}});
    expect(Answer::Kind::parse, Answer::Way::forward,
           std::make_unique<Answer::Subject>(Answer::Subject{nullptr, client_name, true}));
    wire_->put(message);
}

void Server::expect_unknown(Answer::Kind kind, std::string client_name) {
    expect(kind, Answer::Way::forward,
           std::make_unique<Answer::Subject>(
               Answer::Subject{.statement = {}, .client_name = std::move(client_name), .unknown = true}));
}

void Server::close_for(const std::string& client_name, const StatementRef& statement) {
    expect(Answer::Kind::close, Answer::Way::make,
           std::make_unique<Answer::Subject>(Answer::Subject{statement, client_name, false}));
}

bool Server::put_settings(const Settings& wanted) {
    if (settings_ == wanted) return false;
    const std::string statement = settings_statement(settings_, wanted, &reported_);
    if (statement.empty()) return false;
    log::debug("{} varcache_apply: {}", label(), statement);
    std::string message;
    pgwire::Writer writer(message);
    pgwire::frontend::write_query(writer, statement);
    if (!writer.ok()) return false;
    settings_error_.reset();
    wanted_ = wanted;
    expect(Answer::Kind::query, Answer::Way::swallow);
    wire_->put(message);
    return true;
}

void Server::run_own(std::string_view sql) {
    std::string message;
    pgwire::Writer writer(message);
    pgwire::frontend::write_query(writer, sql);
    own_failed_ = false;
    expect(Answer::Kind::query, Answer::Way::swallow);
    wire_->put(message);
}

}  // namespace pgkeel::pool
