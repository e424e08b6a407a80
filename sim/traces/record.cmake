# Included by every project() of a build that is recorded: see record.py.
foreach(kind COMPILE LINK CUSTOM)
  set(output "<OBJECT>")
  if(kind STREQUAL "LINK")
    set(output "<TARGET>")
  elseif(kind STREQUAL "CUSTOM")
    set(output "<OUTPUT>")
  endif()
  set_property(GLOBAL PROPERTY RULE_LAUNCH_${kind}
               "python3 ${CMAKE_CURRENT_LIST_DIR}/record.py --launch ${output}")
endforeach()
