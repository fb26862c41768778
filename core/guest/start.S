# First instructions of the guest. The machine starts every message here with all registers zero
# except a0 (index in the batch) and a1 (sequence of the batch's first message), and with scratch
# reset, so .bss needs no clearing. a0 and a1 are passed on untouched:
#   extern "C" [[noreturn]] void guest_main(uint64_t index, uint64_t first_sequence);
    .section .text.start, "ax", @progbits
    .globl _start
    .type _start, @function
_start:
    .option push
    .option norelax         # gp cannot be loaded relative to gp
    la gp, __global_pointer$
    .option pop
    la sp, __stack_top
    call guest_main
    .word 0                 # never reached: the all-zero word traps
    .size _start, . - _start
