#include "pool/statements.hpp"

#include <algorithm>

namespace pgkeel::pool {

StatementRef Statements::of(std::string_view query, std::string_view types) {
    return of(query, types, {});
}

StatementRef Statements::of(std::string_view query, std::string_view types, std::string_view server_name) {
    std::string key;
    key.reserve(types.size() + 1 + query.size());
    key.append(query).append(1, '\0').append(types);  // a query holds no NUL
    const std::lock_guard lock(mutex_);
    if (known_.size() >= sweep_at_) {
        std::erase_if(known_, [](const auto& entry) { return entry.second.expired(); });
        sweep_at_ = std::max<std::size_t>(256, known_.size() * 2);
    }
    auto& known = known_[std::move(key)];
    if (auto statement = known.lock()) return statement;
    const std::uint64_t number = ++numbers_;
    auto statement = std::make_shared<const Statement>(
        Statement{.number = number,
                  .server_name = server_name.empty() ? prefix_ + std::to_string(number) : std::string(server_name),
                  .query = std::string(query),
                  .types = std::string(types),
                  .effects = shared_session_effects(query)});
    known = statement;
    return statement;
}

std::size_t Statements::size() const {
    const std::lock_guard lock(mutex_);
    return static_cast<std::size_t>(
        std::ranges::count_if(known_, [](const auto& entry) { return !entry.second.expired(); }));
}

StatementRef ClientStatements::find(std::string_view name) const {
    if (!by_name_) return nullptr;
    const auto found = by_name_->find(name);
    return found == by_name_->end() ? nullptr : found->second.statement;
}

bool ClientStatements::add(std::string_view name, StatementRef statement) {
    if (!by_name_) by_name_ = std::make_unique<ByName>();
    auto& known = (*by_name_)[std::string(name)];
    if (known.statement && !known.in_doubt) return false;
    known = {std::move(statement), false};
    return true;
}

void ClientStatements::doubt(std::string_view name) {
    if (!by_name_) return;
    if (const auto found = by_name_->find(name); found != by_name_->end()) found->second.in_doubt = true;
}

bool ClientStatements::is_in_doubt(std::string_view name) const {
    if (!by_name_) return false;
    const auto found = by_name_->find(name);
    return found != by_name_->end() && found->second.in_doubt;
}

void ClientStatements::remove(std::string_view name) {
    if (!by_name_) return;
    if (const auto found = by_name_->find(name); found != by_name_->end()) by_name_->erase(found);
}

bool ServerStatements::use(const Statement& statement) {
    const auto found = by_number_.find(statement.number);
    if (found == by_number_.end()) return false;
    by_use_.splice(by_use_.begin(), by_use_, found->second);
    return true;
}

std::vector<StatementRef> ServerStatements::add(StatementRef statement, std::size_t most) {
    if (use(*statement)) return {};
    std::vector<StatementRef> closed;
    while (!by_use_.empty() && by_use_.size() >= std::max<std::size_t>(most, 1)) {
        by_number_.erase(by_use_.back()->number);
        closed.push_back(std::move(by_use_.back()));
        by_use_.pop_back();
    }
    const std::uint64_t number = statement->number;
    by_use_.push_front(std::move(statement));
    by_number_[number] = by_use_.begin();
    return closed;
}

void ServerStatements::keep(StatementRef statement) {
    const std::uint64_t number = statement->number;
    if (by_number_.contains(number)) return;
    by_use_.push_back(std::move(statement));
    by_number_[number] = std::prev(by_use_.end());
}

bool ServerStatements::remove(std::uint64_t number) {
    const auto found = by_number_.find(number);
    if (found == by_number_.end()) return false;
    by_use_.erase(found->second);
    by_number_.erase(found);
    return true;
}

void ServerStatements::clear() {
    by_use_.clear();
    by_number_.clear();
}

}  // namespace pgkeel::pool
