noinst_LIBRARIES += src/app/control/libcontrol.a
EXTRA_DIST += src/app/control/README
src_app_control_libcontrol_a_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
src_app_control_libcontrol_a_SOURCES = \
	src/app/control/control.c \
	src/app/control/control.h \
	src/app/control/request.c
LIB_CONTROL = src/app/control/libcontrol.a $(LIB_LOOP) $(LIB_MAIL) $(JANSSON_LIBS)

check_PROGRAMS += tests/unit/test_control
tests_unit_test_control_SOURCES = tests/unit/test_control.c tests/unit/unit.h
tests_unit_test_control_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(JANSSON_CFLAGS)
tests_unit_test_control_LDADD = $(LIB_CONTROL) $(CHECK_LIBS)

FUZZ_TARGETS += tests/fuzz/fuzz_control
tests_fuzz_fuzz_control_SOURCES = tests/fuzz/fuzz_control.c
tests_fuzz_fuzz_control_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
tests_fuzz_fuzz_control_LDADD = $(FUZZ_MAIN) $(LIB_CONTROL)
