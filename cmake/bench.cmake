# The order book alone, behind its C interface (bench/book/book.h): with the undo log as in the
# venue, and without; and the harness that drives either of them. `provenue bench book` runs it.
set(provenue_book_sources
    bench/book/book.cpp core/native/mapping.cpp core/image/state.cpp core/matching/book.cpp
    core/matching/orders.cpp core/matching/price_index.cpp)
foreach(name provenue_book provenue_book_unmarked)
  add_library(${name} SHARED ${provenue_book_sources})
  set_target_properties(${name} PROPERTIES CXX_VISIBILITY_PRESET hidden)
  target_link_libraries(${name} PRIVATE provenue_common provenue_warnings provenue_preset_main)
endforeach()
target_compile_definitions(provenue_book_unmarked PRIVATE PROVENUE_UNMARKED=1)

add_executable(book_bench bench/book/main.cpp bench/book/flows.cpp bench/book/twin.cpp)
target_link_libraries(book_bench PRIVATE provenue_common provenue_warnings ${CMAKE_DL_LIBS})
install(TARGETS provenue_book provenue_book_unmarked LIBRARY DESTINATION provenue/bench)
install(TARGETS book_bench RUNTIME DESTINATION provenue/bench)
