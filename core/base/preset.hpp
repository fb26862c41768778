// Which preset this translation unit is compiled for: exactly one of PROVENUE_PRESET_MINIMAL,
// PROVENUE_PRESET_DEV, PROVENUE_PRESET_MAIN. Whatever depends on a capacity lives in
// provenue::PROVENUE_PRESET_NAMESPACE, so that several presets can be linked into one program.
#pragma once

#if defined(PROVENUE_PRESET_MINIMAL) + defined(PROVENUE_PRESET_DEV) + \
        defined(PROVENUE_PRESET_MAIN) != \
    1
#error "define exactly one of PROVENUE_PRESET_MINIMAL, PROVENUE_PRESET_DEV, PROVENUE_PRESET_MAIN"
#endif

#if defined(PROVENUE_PRESET_MINIMAL)
#define PROVENUE_PRESET_NAMESPACE preset_minimal
#define PROVENUE_PRESET_NAME "minimal"
#define PROVENUE_PROGRAM_TABLE program_table_minimal
#elif defined(PROVENUE_PRESET_DEV)
#define PROVENUE_PRESET_NAMESPACE preset_dev
#define PROVENUE_PRESET_NAME "dev"
#define PROVENUE_PROGRAM_TABLE program_table_dev
#else
#define PROVENUE_PRESET_NAMESPACE preset_main
#define PROVENUE_PRESET_NAME "main"
#define PROVENUE_PROGRAM_TABLE program_table_main
#endif
