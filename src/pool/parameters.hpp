#pragma once
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

// What a client has set in its session, and what a server has. Before a server works for a client, it is told what
// differs.

namespace pgkeel::pool {

struct Setting {
    std::string name;  ///< as it was first written; names are compared without case (PostgreSQL, "Parameter Names")
    std::string value;
    bool operator==(const Setting&) const = default;
};

/// An unchanging set of settings, in the order of their names. Copying it copies a pointer.
class Settings {
  public:
    Settings() = default;

    /// Null: not in the set.
    const std::string* find(std::string_view name) const;
    Settings with(std::string_view name, std::string_view value) const;
    Settings without(std::string_view name) const;

    bool empty() const { return list().empty(); }
    std::size_t size() const { return list().size(); }
    const std::vector<Setting>& list() const;
    bool operator==(const Settings& other) const { return shared_ == other.shared_ || list() == other.list(); }

  private:
    friend class SharedSettings;
    using List = std::vector<Setting>;
    explicit Settings(List list) : shared_(std::make_shared<const List>(std::move(list))) {}
    std::shared_ptr<const List> shared_;
};

/// Keeps one copy of sets that are alike: ten thousand clients of one application have the same few.
class SharedSettings {
  public:
    /// A set equal to `settings`; the same one for equal ones, as long as somebody has it.
    Settings share(const Settings& settings);
    std::size_t size() const { return known_.size(); }

  private:
    std::unordered_map<std::string, std::weak_ptr<const std::vector<Setting>>> known_;
    std::size_t sweep_at_ = 64;
};

/// The statements that bring a server from `has` to `wanted`, for one simple query: one transaction, and all or nothing
/// of it. Empty when nothing differs. What both lack is the server's own default, so what only `has` names is reset.
/// \param reported  names whose values come from the server, which spells them in its own way: they are compared
///                  without case. Null: all of them
std::string settings_statement(const Settings& has, const Settings& wanted, const Settings* reported = nullptr);

/// Its value is a list of names, each quoted if it has to be (GUC_LIST_QUOTE in PostgreSQL's source).
bool is_list_setting(std::string_view name);

bool equal_without_case(std::string_view left, std::string_view right);

}  // namespace pgkeel::pool
