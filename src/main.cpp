#include "cli/cli.hpp"

int main(int argc, char** argv) {
    return pgkeel::cli::run(argc, argv);
}
