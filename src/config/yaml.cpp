#include "config/yaml.hpp"

#include "log/utf8.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <sstream>
#include <vector>

// yaml-cpp's node tree keeps duplicate keys, knows no `<<` and forgets where things stood, so its events are used
// instead: the value is built here, with limits that hold before anything large is made.

namespace pgkeel::config {
namespace {

namespace json = boost::json;

constexpr std::size_t depth_max = 64;
constexpr std::size_t bytes_max = std::size_t{1} << 20;
constexpr std::size_t values_max = 200'000;  ///< aliases counted as often as they are used

/// Thrown through yaml-cpp, caught in parse_yaml.
struct Refused {
    YAML::Mark at;
    std::string why;
    std::string hint;
};

std::size_t depth_of(const json::value& value) {
    std::size_t deepest = 0;
    if (const auto* object = value.if_object())
        for (const auto& member : *object) deepest = std::max(deepest, depth_of(member.value()));
    else if (const auto* array = value.if_array())
        for (const auto& element : *array) deepest = std::max(deepest, depth_of(element));
    else
        return 0;
    return deepest + 1;
}

std::size_t size_of(const json::value& value) {
    std::size_t total = 1;
    if (const auto* object = value.if_object())
        for (const auto& member : *object) total += size_of(member.value());
    else if (const auto* array = value.if_array())
        for (const auto& element : *array) total += size_of(element);
    return total;
}

/// yaml-cpp makes the escapes \N (U+0085) and \_ (U+00A0) single bytes, which are not UTF-8. Input is, so only they can
/// be odd.
std::string repaired(const std::string& text) {
    std::string out;
    for (std::string_view rest = text; !rest.empty();) {
        const std::size_t length = utf8_length(rest);
        if (length == 0) out += '\xc2';
        out += rest.substr(0, std::max<std::size_t>(length, 1));
        rest.remove_prefix(std::max<std::size_t>(length, 1));
    }
    return out;
}

class Builder final : public YAML::EventHandler {
  public:
    Builder(const std::string& where, Places* places) : where_(where), places_(places) {}

    json::value take() { return std::move(root_); }
    YAML::Mark last() const { return last_; }
    YAML::Mark last_scalar() const { return last_scalar_; }

    void OnDocumentStart(const YAML::Mark& mark) override {
        last_ = mark;
        if (++documents_ > 1) throw Refused{mark, "a second document begins", "remove the line '---'"};
    }
    void OnDocumentEnd() override {}

    void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override { scalar(mark, anchor, "null", nullptr); }

    void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
        last_ = mark;
        const auto found = anchors_.find(anchor);
        if (found == anchors_.end()) throw Refused{mark, "an alias stands inside what it names", ""};
        const json::value& value = found->second;
        if (expects_key()) {
            if (!value.is_string()) throw Refused{mark, "an alias used as a key is no text", ""};
            return begin_key(mark, std::string(value.get_string()), false);
        }
        count(mark, size_of(value));
        if (stack_.size() + depth_of(value) > depth_max) too_deep(mark);
        add(mark, value);
    }

    void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  const std::string& raw) override {
        const std::string value = repaired(raw);
        // "?" is yaml-cpp's tag of a plain scalar without one, "!" that of a quoted one.
        last_scalar_ = mark;
        if (expects_key()) {
            begin_key(mark, value, tag == "?" && value == "<<");
            if (anchor != 0) anchors_[anchor] = value;
            return;
        }
        scalar(mark, anchor, value, tagged(mark, tag, value));
    }

    void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                         YAML::EmitterStyle::value) override {
        check_tag(mark, tag, "tag:yaml.org,2002:seq");
        push(mark, anchor, false);
    }
    void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                    YAML::EmitterStyle::value) override {
        check_tag(mark, tag, "tag:yaml.org,2002:map");
        push(mark, anchor, true);
    }
    void OnSequenceEnd() override { pop(); }
    void OnMapEnd() override { pop(); }

  private:
    struct Frame {
        YAML::Mark mark;
        YAML::anchor_t anchor = 0;
        bool is_map = false;
        json::object object;
        json::array array;
        std::string path;
        bool has_key = false;
        bool merges = false;  ///< the key is `<<`
        bool merged = false;  ///< there was one
        std::string key;
        json::object inherited;  ///< from `<<`; the map's own keys win
    };

    bool expects_key() const { return !stack_.empty() && stack_.back().is_map && !stack_.back().has_key; }

    [[noreturn]] static void too_deep(const YAML::Mark& mark) {
        throw Refused{mark, fmt::format("nested deeper than {} levels", depth_max), ""};
    }

    void count(const YAML::Mark& mark, std::size_t values) {
        values_ += values;
        if (values_ > values_max)
            throw Refused{mark, fmt::format("more than {} values", values_max), "do aliases multiply?"};
    }

    static void check_tag(const YAML::Mark& mark, const std::string& tag, std::string_view expected) {
        if (tag.empty() || tag == "?" || tag == "!" || tag == expected) return;
        throw Refused{mark, fmt::format("tag {} is not known", tag), "remove it"};
    }

    static json::value tagged(const YAML::Mark& mark, const std::string& tag, const std::string& text) {
        constexpr std::string_view standard = "tag:yaml.org,2002:";
        if (tag == "!") return json::string(text);
        if (tag.empty() || tag == "?") return plain_scalar(text);
        const std::string_view name =
            std::string_view(tag).starts_with(standard) ? std::string_view(tag).substr(standard.size()) : "";
        if (name == "str") return json::string(text);
        json::value value = plain_scalar(text);
        const bool fits = (name == "int" && (value.is_int64() || value.is_uint64())) ||
                          (name == "float" && value.is_number()) || (name == "bool" && value.is_bool()) ||
                          (name == "null" && value.is_null());
        if (!fits) throw Refused{mark, fmt::format("the value does not fit its tag {}", tag), "remove the tag"};
        if (name == "float") return value.to_number<double>();
        return value;
    }

    void begin_key(const YAML::Mark& mark, std::string key, bool merges) {
        last_ = mark;
        Frame& frame = stack_.back();
        if (merges ? frame.merged : frame.object.contains(key))
            throw Refused{mark, fmt::format("duplicate key '{}'", key),
                          "the first one would win silently; remove one of them"};
        frame.has_key = true;
        frame.merges = merges;
        frame.key = std::move(key);
        if (places_ != nullptr && !merges)
            places_->insert_or_assign(child_path(), fmt::format("{}:{}:{}", where_, mark.line + 1, mark.column + 1));
    }

    std::string child_path() const {
        if (stack_.empty()) return {};
        const Frame& frame = stack_.back();
        if (!frame.is_map) return fmt::format("{}[{}]", frame.path, frame.array.size());
        return frame.path.empty() ? frame.key : frame.path + '.' + frame.key;
    }

    void scalar(const YAML::Mark& mark, YAML::anchor_t anchor, const std::string& text, json::value value) {
        last_ = mark;
        if (expects_key()) return begin_key(mark, text, false);
        count(mark, 1);
        if (anchor != 0) anchors_[anchor] = value;
        add(mark, std::move(value));
    }

    void push(const YAML::Mark& mark, YAML::anchor_t anchor, bool is_map) {
        last_ = mark;
        if (expects_key()) throw Refused{mark, "a key must be one word, not a list or a map", ""};
        if (stack_.size() >= depth_max) too_deep(mark);
        count(mark, 1);
        Frame frame;
        frame.mark = mark;
        frame.anchor = anchor;
        frame.is_map = is_map;
        if (places_ != nullptr) frame.path = child_path();
        stack_.push_back(std::move(frame));
    }

    void pop() {
        Frame frame = std::move(stack_.back());
        stack_.pop_back();
        json::value value =
            frame.is_map ? json::value(with_inherited(std::move(frame))) : json::value(std::move(frame.array));
        if (frame.anchor != 0) anchors_[frame.anchor] = value;
        add(frame.mark, std::move(value));
    }

    static json::object with_inherited(Frame frame) {
        if (frame.inherited.empty()) return std::move(frame.object);
        json::object out = std::move(frame.inherited);
        for (auto& member : frame.object) out.insert_or_assign(member.key(), std::move(member.value()));
        return out;
    }

    void add(const YAML::Mark& mark, json::value value) {
        if (stack_.empty()) {
            root_ = std::move(value);
            return;
        }
        Frame& frame = stack_.back();
        if (!frame.is_map) {
            frame.array.push_back(std::move(value));
            return;
        }
        frame.has_key = false;
        if (frame.merges)
            inherit(mark, frame, value);
        else
            frame.object.insert_or_assign(frame.key, std::move(value));
    }

    /// `<<: *a` or `<<: [*a, *b]`; what comes first wins.
    static void inherit(const YAML::Mark& mark, Frame& frame, const json::value& value) {
        frame.merged = true;
        const auto take = [&](const json::value& map) {
            if (!map.is_object()) throw Refused{mark, "'<<' wants a map or a list of maps", ""};
            for (const auto& member : map.get_object()) frame.inherited.insert(json::key_value_pair(member));
        };
        if (const auto* list = value.if_array())
            for (const auto& map : *list) take(map);
        else
            take(value);
    }

    const std::string& where_;
    Places* places_;
    json::value root_;
    std::vector<Frame> stack_;
    std::map<YAML::anchor_t, json::value> anchors_;
    YAML::Mark last_;
    YAML::Mark last_scalar_;
    std::size_t values_ = 0;
    int documents_ = 0;
};

std::unexpected<Error> refused(const std::string& where, const YAML::Mark& at, const std::string& why,
                               std::string hint) {
    return fail(Errc::invalid_input, fmt::format("{}:{}:{}: {}", where, at.line + 1, at.column + 1, why),
                std::move(hint));
}

bool is_utf8(std::string_view text) {
    while (!text.empty()) {
        const std::size_t length = utf8_length(text);
        if (length == 0 || text.front() == '\0') return false;
        text.remove_prefix(length);
    }
    return true;
}

/// yaml-cpp takes the end of the input for the end of a quoted text, and so everything behind a forgotten quote for its
/// content.
bool quote_stays_open(std::string_view text, std::size_t at) {
    if (at >= text.size() || (text[at] != '\'' && text[at] != '"')) return false;
    const char quote = text[at];
    for (++at; at < text.size(); ++at) {
        if (quote == '"' && text[at] == '\\') {
            ++at;
        } else if (text[at] == quote) {
            if (quote == '"' || at + 1 >= text.size() || text[at + 1] != quote) return false;
            ++at;  // '' inside '…' is one quote
        }
    }
    return true;
}

}  // namespace

Result<json::value> parse_yaml(std::string_view text, const std::string& where, Places* places) {
    if (text.size() > bytes_max)
        return fail(Errc::invalid_input,
                    fmt::format("{}: {} bytes of YAML, more than {}", where, text.size(), bytes_max));
    if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);  // the byte order mark some editors write
    if (!is_utf8(text)) return fail(Errc::invalid_input, fmt::format("{}: is not text in UTF-8", where));
    Builder builder(where, places);
    try {
        std::istringstream stream{std::string(text)};
        YAML::Parser parser(stream);
        while (parser.HandleNextDocument(builder)) {
        }
        if (quote_stays_open(text, static_cast<std::size_t>(builder.last_scalar().pos)))
            return refused(where, builder.last_scalar(), "the quote is never closed",
                           "everything behind it would be its text");
        return builder.take();
    } catch (const Refused& problem) {
        return refused(where, problem.at, problem.why, problem.hint);
    } catch (const YAML::Exception& problem) {
        // Some of yaml-cpp's errors point at the beginning of the file, or nowhere.
        const bool known = !problem.mark.is_null() && problem.mark.pos != 0;
        return refused(where, known ? problem.mark : builder.last(), problem.msg,
                       "check the indentation and the quotes there");
    } catch (const std::exception& problem) {
        return refused(where, builder.last(), problem.what(), "");
    }
}

}  // namespace pgkeel::config
