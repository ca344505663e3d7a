#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace pgkeel::pool {

/// Things that come and go, by small numbers that are used again. Nothing is allocated once it has been as full as it
/// gets.
template <class T, class Id>
class Slab {
  public:
    Id add(T thing) {
        if (free_.empty()) {
            things_.emplace_back(std::move(thing));
            return static_cast<Id>(things_.size() - 1);
        }
        const Id id = free_.back();
        free_.pop_back();
        things_[static_cast<std::size_t>(id)].emplace(std::move(thing));
        return id;
    }
    void remove(Id id) {
        things_[static_cast<std::size_t>(id)].reset();
        free_.push_back(id);
    }
    bool has(Id id) const {
        return static_cast<std::size_t>(id) < things_.size() && things_[static_cast<std::size_t>(id)].has_value();
    }
    /// The id must be that of a thing which is here.
    T& at(Id id) { return things_[static_cast<std::size_t>(id)].value(); }
    const T& at(Id id) const { return things_[static_cast<std::size_t>(id)].value(); }

    std::size_t size() const { return things_.size() - free_.size(); }
    template <class F>
    void each(F visit) {
        for (std::size_t i = 0; i < things_.size(); ++i)
            if (things_[i]) visit(static_cast<Id>(i), *things_[i]);
    }

  private:
    std::vector<std::optional<T>> things_;
    std::vector<Id> free_;
};

/// Where a thing of a slab stands in a Chain.
template <class Id>
struct Links {
    std::optional<Id> before, after;
};

/// An order of things in a slab; each has a member `links` and is in one chain at most.
template <class T, class Id>
class Chain {
  public:
    std::optional<Id> first() const { return first_; }
    std::optional<Id> last() const { return last_; }
    std::size_t size() const { return size_; }
    bool empty() const { return size_ == 0; }

    void add_first(Slab<T, Id>& slab, Id id) {
        slab.at(id).links = {std::nullopt, first_};
        (first_ ? slab.at(*first_).links.before : last_) = id;
        first_ = id;
        ++size_;
    }
    void add_last(Slab<T, Id>& slab, Id id) {
        slab.at(id).links = {last_, std::nullopt};
        (last_ ? slab.at(*last_).links.after : first_) = id;
        last_ = id;
        ++size_;
    }
    void remove(Slab<T, Id>& slab, Id id) {
        const auto [before, after] = std::exchange(slab.at(id).links, {});
        (before ? slab.at(*before).links.after : first_) = after;
        (after ? slab.at(*after).links.before : last_) = before;
        --size_;
    }

  private:
    std::optional<Id> first_, last_;
    std::size_t size_ = 0;
};

}  // namespace pgkeel::pool
