// pgkeel-simulation [--seeds FIRST COUNT] [--seed N --journal]: runs seeded clusters and reports the first violation.
#include "simulation/cluster.hpp"

#include "log/log.hpp"

#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <string>

namespace {

std::uint64_t number(const char* text) {
    std::uint64_t value = 0;
    std::from_chars(text, text + std::strlen(text), value);
    return value;
}

}  // namespace

int main(int argc, char** argv) {
    std::uint64_t first = 1;
    std::uint64_t count = 200;
    bool journal = false;
    for (int i = 1; i < argc; ++i) {
        const std::string argument = argv[i];
        if (argument == "--seeds" && i + 2 < argc) {
            first = number(argv[++i]);
            count = number(argv[++i]);
        } else if (argument == "--seed" && i + 1 < argc) {
            first = number(argv[++i]);
            count = 1;
        } else if (argument == "--journal") {
            journal = true;
        } else {
            std::fprintf(stderr, "usage: %s [--seeds FIRST COUNT | --seed N] [--journal]\n", argv[0]);
            return 2;
        }
    }
    pgkeel::log::Options quiet;
    quiet.level = journal ? pgkeel::log::Level::info : pgkeel::log::Level::critical;
    quiet.format = "%(message)s";
    pgkeel::log::configure(quiet);

    const auto begin = std::chrono::steady_clock::now();
    std::uint64_t failovers = 0;
    std::uint64_t faults = 0;
    for (std::uint64_t seed = first; seed < first + count; ++seed) {
        pgkeel::simulation::Cluster cluster({.seed = seed});
        const std::string violation = cluster.run();
        failovers += cluster.failovers();
        faults += cluster.faults();
        if (violation.empty() && !journal) continue;
        for (const std::string& line : cluster.world().journal()) std::printf("%s\n", line.c_str());
        std::printf("%s", cluster.describe().c_str());
        if (violation.empty()) continue;
        std::printf("seed %llu: %s\nreplay: pgkeel-simulation --seed %llu --journal\n",
                    static_cast<unsigned long long>(seed), violation.c_str(), static_cast<unsigned long long>(seed));
        return 1;
    }
    const double took = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    std::printf("simulation: %llu clusters, %llu faults, %llu promotions, no violation, %.1f s\n",
                static_cast<unsigned long long>(count), static_cast<unsigned long long>(faults),
                static_cast<unsigned long long>(failovers), took);
    return 0;
}
