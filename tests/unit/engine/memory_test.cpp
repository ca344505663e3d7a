#include "engine/tls.hpp"
#include "unit/http/certificates.hpp"
#include "wires.hpp"

#include <malloc.h>
#include <sys/resource.h>
#include <sys/wait.h>

namespace pgkeel::test {
namespace {

#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr bool memory_is_as_in_production = false;
#else
constexpr bool memory_is_as_in_production = true;
#endif

constexpr int wires = 2000;

class Idle final : public pool::WireOwner {
  public:
    std::size_t received(std::string_view bytes) override {
        if (++received_in_all && answers) wire->pass(bytes);
        return bytes.size();
    }
    void connected() override { wire->start_tls(context, false); }
    void secured() override {
        ++secured_in_all;
        if (!answers) wire->pass("hello");
    }
    void closed(const std::string&) override {}
    pool::OwnedWire wire;
    engine::TlsContext context;
    bool answers = false;
    inline static std::size_t secured_in_all = 0, received_in_all = 0;
};

/// Connects them all from a process of its own, so that one end is counted; ends when it is told.
class Clients {
  public:
    Clients(std::uint16_t port, const engine::TlsContext& context) {
        process_ = ::fork();
        if (process_ != 0) return;
        const auto loop = make_loop();
        std::vector<Idle> all(wires);
        std::size_t next = 0;
        // A few at a time: nobody's backlog overflows.
        std::function<void()> more = [&] {
            for (; next < all.size() && next < Idle::received_in_all + 50; ++next) {
                all[next].context = context;
                if (context)
                    all[next].wire = loop->connect({.host = "127.0.0.1", .port = port}, all[next], {});
                else
                    connect_tcp(port).release(), ++Idle::received_in_all;
            }
            loop->after(1ms, more);
        };
        more();
        loop->run();
        ::_exit(0);
    }
    ~Clients() {
        ::kill(process_, SIGKILL);
        ::waitpid(process_, nullptr, 0);
    }
    Clients(const Clients&) = delete;
    Clients& operator=(const Clients&) = delete;

  private:
    pid_t process_;
};

std::size_t used_bytes() {
    const auto info = ::mallinfo2();
    return info.uordblks + info.hblkhd;
}

bool enough_descriptors() {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_cur > wires + 100;
}

/// Heap bytes for each of many idle wires, their owners not counted.
double bytes_each(const engine::TlsContext& server, const engine::TlsContext& client) {
    // All may come before the loop looks; a full backlog would cost the client a second for each try.
    const int listening = engine::open_listener({.host = "127.0.0.1"}, {.backlog = 2 * wires}).value();
    Idle::secured_in_all = Idle::received_in_all = 0;
    const Clients clients(port_of(listening), client);
    const auto loop = make_loop();
    std::vector<Idle> all(wires);
    // The loop's own things grow with the first wires and stay.
    std::size_t accepted = 0;
    std::size_t before = 0;
    run_for(*loop, 1ms);
    before = used_bytes();
    loop->listen(listening, [&](int socket) {
        Idle& owner = all[accepted++];
        owner.answers = true;
        owner.wire = loop->adopt(socket, owner, {});
        if (server) owner.wire->start_tls(server, true);
    });
    EXPECT_TRUE(run_until(*loop, [&] {
        return accepted == std::size_t{wires} &&
               (!server || (Idle::secured_in_all == std::size_t{wires} && Idle::received_in_all == std::size_t{wires}));
    }));
    run_for(*loop, 20ms);
    const double each = static_cast<double>(used_bytes() - before) / static_cast<double>(wires);
    all.clear();
    run_for(*loop, 1ms);
    ::close(listening);
    return each;
}

class memory : public OnEachEngine {};
ON_EACH_ENGINE(memory);

TEST_P(memory, of_an_idle_wire_is_small) {
    if (!memory_is_as_in_production) GTEST_SKIP() << "a sanitizer's heap is another one";
    if (!enough_descriptors()) GTEST_SKIP() << "too few descriptors";
    const double each = bytes_each(nullptr, nullptr);
    RecordProperty("bytes", static_cast<int>(each));
    std::cout << "an idle wire: " << each << " bytes of heap\n";
    EXPECT_GT(each, 100);
    EXPECT_LE(each, 400);
}

TEST_P(memory, of_an_idle_tls_wire_is_that_of_openssl) {
    if (!memory_is_as_in_production) GTEST_SKIP() << "a sanitizer's heap is another one";
    if (!enough_descriptors()) GTEST_SKIP() << "too few descriptors";
    const TemporaryDirectory directory;
    const Authority authority(directory, "ca");
    const CertificateFiles files = authority.issue("db.example", "");
    const auto server = engine::client_side_context(
        {.mode = config::TlsMode::require, .certificate_file = files.certificate, .key_file = files.key});
    const auto client = engine::server_side_context({.mode = config::TlsMode::require});
    ASSERT_TRUE(server && client);
    const double each = bytes_each(*server, *client);
    std::cout << "an idle TLS wire: " << each << " bytes of heap\n";
    EXPECT_GT(each, 1000);
    EXPECT_LE(each, 16 * 1024);
}

}  // namespace
}  // namespace pgkeel::test
