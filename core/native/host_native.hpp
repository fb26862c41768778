// Running the program natively: its host services, and what happens when one of its assertions
// fails.
//
// A failed assertion leaves the program by longjmp. An exception would have to pass through code
// that is compiled with -fno-exceptions, which is sound only where the compiler happens to emit
// unwind tables; longjmp needs none. Nothing is lost on the way: the program has no destructors,
// locks or memory of its own (core/base/assert.hpp).
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

#include "core/program/api.hpp"

namespace provenue::native {

// The program broke one of its own rules (or the host could not serve it). The image is as it was
// before the message.
class EngineFault : public std::runtime_error {
public:
    EngineFault(const std::string& rule, int line)
        : std::runtime_error(rule + " (line " + std::to_string(line) + ")"),
          rule(rule),
          line(line) {}
    std::string rule;
    int line;
};

// apply() of the program. Throws EngineFault after the message has been undone. With
// `fail_at_call` n > 0 the n-th host call of this message fails: for drills and tests.
uint32_t guarded_apply(const ProgramTable& table, Context& context, const MessageInput& message,
                       uint32_t fail_at_call = 0);

// Any other function of the program that reads the image and may assert: f(argument).
void guarded_call(void (*function)(void*), void* argument);

}  // namespace provenue::native
