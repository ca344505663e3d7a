// pgkeel-simulation [--long] [--seeds FIRST COUNT] [--threads N] | [--long] --seed N [--journal]: runs seeded clusters
// and reports the first violation with its journal. Most mistakes show in the first elections, so that many short lives
// find more; --long is for those that do not.
#include "simulation/cluster.hpp"

#include "log/log.hpp"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

namespace {

using pgkeel::simulation::Cluster;

std::uint64_t number(const char* text) {
    std::uint64_t value = 0;
    std::from_chars(text, text + std::strlen(text), value);
    return value;
}

struct Totals {
    std::uint64_t clusters = 0;
    std::uint64_t faults = 0;
    std::uint64_t promotions = 0;
};

/// Takes seeds from `next` until there are no more, or one below has failed.
Totals run_seeds(std::atomic<std::uint64_t>& next, std::uint64_t end, std::atomic<std::uint64_t>& failed,
                 bool long_life) {
    Totals totals;
    for (std::uint64_t seed = next++; seed < end && seed < failed; seed = next++) {
        Cluster cluster(seed, {.long_life = long_life});
        const bool good = cluster.run().empty();
        ++totals.clusters;
        totals.faults += cluster.faults();
        totals.promotions += cluster.failovers();
        if (good) continue;
        for (std::uint64_t lowest = failed; seed < lowest && !failed.compare_exchange_weak(lowest, seed);) {
        }
    }
    return totals;
}

/// Runs one seed with its journal, which says what happened; 1: it has a violation.
int show(std::uint64_t seed, bool long_life) {
    Cluster cluster(seed, {.journal = true, .long_life = long_life});
    const std::string violation = cluster.run();
    for (const std::string& line : cluster.world().journal()) std::printf("%s\n", line.c_str());
    std::printf("%s", cluster.describe().c_str());
    if (violation.empty()) return 0;
    std::printf("seed %llu: %s\nreplay: pgkeel-simulation %s--seed %llu --journal\n",
                static_cast<unsigned long long>(seed), violation.c_str(), long_life ? "--long " : "",
                static_cast<unsigned long long>(seed));
    return 1;
}

}  // namespace

int main(int argc, char** argv) {
    std::uint64_t first = 1;
    std::uint64_t count = 200;
    std::uint64_t threads = std::max(1U, std::thread::hardware_concurrency());
    bool one = false;
    bool long_life = false;
    bool journal = false;
    for (int i = 1; i < argc; ++i) {
        const std::string argument = argv[i];
        if (argument == "--seeds" && i + 2 < argc) {
            first = number(argv[++i]);
            count = number(argv[++i]);
        } else if (argument == "--seed" && i + 1 < argc) {
            first = number(argv[++i]);
            one = true;
        } else if (argument == "--threads" && i + 1 < argc) {
            threads = std::clamp<std::uint64_t>(number(argv[++i]), 1, 256);
        } else if (argument == "--long") {
            long_life = true;
        } else if (argument == "--journal") {
            journal = true;
        } else {
            std::fprintf(stderr,
                         "usage: %s [--long] [--seeds FIRST COUNT] [--threads N] | [--long] --seed N [--journal]\n",
                         argv[0]);
            return 2;
        }
    }
    pgkeel::log::Options quiet;
    quiet.level = one && journal ? pgkeel::log::Level::info : pgkeel::log::Level::critical;
    quiet.to_standard_error = one && journal;
    quiet.format = "%(message)s";
    pgkeel::log::configure(quiet);
    if (one) return show(first, long_life);

    const auto begin = std::chrono::steady_clock::now();
    const std::uint64_t end = first + count;
    std::atomic<std::uint64_t> next{first};
    std::atomic<std::uint64_t> failed{end};
    std::vector<Totals> parts(threads);
    {
        std::vector<std::jthread> running;
        for (Totals& part : parts) running.emplace_back([&] { part = run_seeds(next, end, failed, long_life); });
    }
    if (failed < end && show(failed, long_life) != 0) return 1;
    if (failed < end) {
        std::printf("seed %llu had a violation once and has none now: something depends on more than the seed\n",
                    static_cast<unsigned long long>(failed.load()));
        return 1;
    }
    Totals all;
    for (const Totals& part : parts) {
        all.clusters += part.clusters;
        all.faults += part.faults;
        all.promotions += part.promotions;
    }
    const double took = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    std::printf("simulation: %llu clusters, %llu faults, %llu promotions, no violation, %.1f s\n",
                static_cast<unsigned long long>(all.clusters), static_cast<unsigned long long>(all.faults),
                static_cast<unsigned long long>(all.promotions), took);
    return 0;
}
