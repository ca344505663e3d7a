#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

// The words of etcd's v3 API (etcd documentation, "etcd API"), as plain values.

namespace pgkeel::etcd {

using LeaseId = std::int64_t;  ///< 0: no lease
using Revision = std::int64_t;

struct KeyValue {
    std::string key;
    std::string value;
    Revision create_revision = 0;
    Revision mod_revision = 0;
    LeaseId lease = 0;
};

/// An equality that must hold for a transaction to take its success branch. A key that does not exist has revisions 0.
struct Compare {
    enum class Target { create_revision, mod_revision, value, lease };
    std::string key;
    Target target = Target::mod_revision;
    std::int64_t number = 0;  ///< for the revisions and the lease
    std::string text;         ///< for the value

    static Compare absent(std::string key) { return {std::move(key), Target::create_revision, 0, {}}; }
    static Compare unchanged(std::string key, Revision mod) { return {std::move(key), Target::mod_revision, mod, {}}; }
    static Compare holds(std::string key, std::string value) {
        return {std::move(key), Target::value, 0, std::move(value)};
    }
};

struct Operation {
    enum class Kind { put, remove, read };
    Kind kind = Kind::put;
    std::string key;
    std::string value;
    LeaseId lease = 0;
    bool prefix = false;  ///< remove and read: every key that begins with `key`

    static Operation put(std::string key, std::string value, LeaseId lease = 0) {
        return {Kind::put, std::move(key), std::move(value), lease, false};
    }
    static Operation remove(std::string key) { return {Kind::remove, std::move(key), {}, 0, false}; }
    static Operation remove_all(std::string prefix) { return {Kind::remove, std::move(prefix), {}, 0, true}; }
    static Operation read(std::string key) { return {Kind::read, std::move(key), {}, 0, false}; }
};

struct Transaction {
    std::vector<Compare> compare;
    std::vector<Operation> success;
    std::vector<Operation> failure;
};

struct TransactionResult {
    bool succeeded = false;
    Revision revision = 0;
    std::vector<KeyValue> read;  ///< what the `read` operations of the branch taken found
};

struct RangeResult {
    Revision revision = 0;
    std::vector<KeyValue> values;
};

struct WatchEvent {
    bool removed = false;
    KeyValue value;  ///< removed: only the key and mod_revision
};

}  // namespace pgkeel::etcd
